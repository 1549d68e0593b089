"""Any images with labels in parquet files, as the Hugging Face hub has them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.arrays.array_folder import part_of, refuse_missing_shards
from hashbench.data.readers.image_parquet import read_image_parquet
from hashbench.data.readers.labelled_images import ARRANGEMENTS, HELD_OUT, PART_OF
from hashbench.data.readers.labels.reading import read_labels
from hashbench.data.splits import OWN_DRAW, Split, own_split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError
from hashbench.progress import to_stderr


class ImageParquet(HashDataset):
    """Any images with labels in parquet files, as the Hugging Face hub has them."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="image-parquet/1",
            split="images in the order of the files' names and their rows, the parts query, database and train one "
            "after the other; queries: the part test or query where the files' names say parts (validation where "
            "there is no test), else 10 % of the images, at most 1,000; database: all others; training set: the part "
            "train, else the database, at most 5,000 of it. A share is drawn from every class alike, rounded down but "
            "at least one image: classes ascending, each the first of a permutation of its items; from images with "
            "several labels, the first of one permutation of all. Permutations are by numpy.random.default_rng, with "
            "seed 0 for the queries and 1 for the training set",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=("mAP@100", "mAP@1000", "mAP@all", "P@100"),
            seed=0,
            draw=OWN_DRAW,
            checksum="76a49807f5cecb2fa205db15d539190b507226e2378b747eb14ecdac11772e9e",
        ),
    )
    source = "your own files, such as those of a data set on the Hugging Face hub"
    licence = "that of your files"
    needs = (
        "--data-dir FILE.parquet, or DIR with files as the hub has them (train-00000-of-00002.parquet, test-…), "
        "with a column of images and one of labels: whole numbers, texts, or lists of them; --image-column and "
        "--label-column name them"
    )
    reads = ("exif", "background", "grey_range", "image_column", "label_column")
    views = PHOTO_VIEWS
    image_size = 224

    def read(self, options: LoadOptions) -> Items:
        """Read the labels; images are decoded later."""
        if options.data_dir is None:
            raise InputError(f"{self.name} needs your files: give {self.needs}")
        parts = _parts(options.data_dir)
        files = [file for group in parts.values() for file in group]
        table = read_image_parquet(files, options.image_column, options.label_column)
        labels = read_labels(table.labels)
        return Items(
            images=ImageFiles(table.images, table.shown_as, look=options.look),
            labels=labels.array,
            label_names=labels.names,
            parts=_rows(parts, table.shown_as) if "" not in parts else {},
            provenance="the user's own",
            notes=[*table.notes, *labels.notes],
            passed_over=table.passed_over,
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the parts that the files name, or draw the queries; bound the training set."""
        return own_split(items, protocol)


def _parts(source: Path) -> dict[str, list[Path]]:
    """Return the files of each part; of the part ``""`` where none is named."""
    if source.is_file():
        return {"": [source]}
    folder = source / "data" if not any(source.glob("*.parquet")) else source
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise InputError(f"--data-dir {source}: expected a .parquet file, or a folder with some")
    words: dict[str, list[Path]] = {}
    for file in files:
        words.setdefault(part_of(file), []).append(file)
    for group in words.values():
        refuse_missing_shards(group)
    if len(words) == 1 or not {*PART_OF, *HELD_OUT}.intersection(words):
        return {"": files}
    return _named(words, folder)


def _named(words: dict[str, list[Path]], folder: Path) -> dict[str, list[Path]]:
    left_out = [word for word in words if word in HELD_OUT]
    parts = {PART_OF[word]: group for word, group in words.items() if word in PART_OF}
    if left_out and "query" not in parts:
        parts["query"] = words[left_out.pop(0)]
    if len(parts) + len(left_out) < len(words) or set(parts) not in ARRANGEMENTS:
        raise InputError(
            f"{folder} has files of {', '.join(words)}; parts are train and test, or query and database and perhaps "
            "train; or give one file"
        )
    if left_out:
        queries = next(word for word, group in words.items() if group is parts["query"])
        to_stderr(f"image_parquet: {', '.join(left_out)} in {folder} is left out; {queries} gives the queries")
    return {part: parts[part] for part in ("query", "database", "train") if part in parts}


def _rows(parts: dict[str, list[Path]], shown_as: list[str]) -> dict[str, np.ndarray]:
    """Return the rows of each part, and of those that are not there none."""
    part_of_file = {str(file): part for part, group in parts.items() for file in group}
    own = np.array([part_of_file[shown.rpartition(": row ")[0]] for shown in shown_as])
    return {part: np.flatnonzero(own == part) for part in ("query", "database", "train")}
