"""NUS-WIDE: Flickr photographs with the 21 most frequent of its 81 concepts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.labels.lines import marked, marked_lines
from hashbench.data.readers.match_names import located, normal, refuse_repeated, text_lines
from hashbench.data.readers.publisher_files import data_directory
from hashbench.data.splits import Split, draw_per_label
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError

IMAGE_LIST = "ImageList/Imagelist.txt"
LABELS = "Groundtruth/AllLabels"
FOLDERS = ("Flickr", "images")
LISTS = {"query": "test.txt", "database": "database.txt", "train": "train.txt"}
N_LABELS = 21
N_WHOLE, N_CONCEPTS, N_LABELLED = 269_648, 81, 195_834
# fmt: off
FREQUENT = {
    "animal", "beach", "buildings", "clouds", "flowers", "grass", "lake", "mountain", "ocean", "person", "plants",
    "reflection", "road", "rocks", "sky", "snow", "sunset", "tree", "vehicle", "water", "window",
}
# fmt: on
METRICS = ("mAP@5000", "mAP@all", "P@100", "P@1000")


class NUSWide(HashDataset):
    """NUS-WIDE-21: Flickr photographs with any of the 21 most frequent concepts."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="nuswide21-cibhash/1",
            split="the 195,834 images with any of the 21 most frequent concepts, in the order of Imagelist.txt; a "
            "label for each of these concepts, the most frequent first. Queries: 100 per label, labels in that "
            "order, each the first 100 of a permutation, by one generator numpy.random.default_rng(0), of its "
            "images that no earlier label has taken; database: the other 193,734; training set: 500 per label of "
            "the database, drawn likewise by numpy.random.default_rng(1); relevant: a shared label",
            n_query=2_100,
            n_database=193_734,
            n_train=10_500,
            metrics=METRICS,
            seed=0,
            draw={"queries_per_label": 100, "training_per_label": 500},
            checksum="9924a14c2642032a398b2f517bb00821a8e16610457c48ff5c720332cabb1949",
        ),
        Protocol(
            name="nuswide21-lists/1",
            split="split lists with 21 labels a line: queries: test.txt; training set: train.txt; database: "
            "database.txt, or where there is none, the training set; relevant: a shared label",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=METRICS,
            checksum="b5bbb5e87dc2bec4d3824f26d23568b74b81ed38a872990e8b3b870550a2ff42",
        ),
        Protocol(
            name="nuswide81-lists/1",
            split="split lists with 81 labels a line, one for each concept: queries: test.txt; training set: "
            "train.txt; database: database.txt, or where there is none, the training set; relevant: a shared label",
            n_query=None,
            n_database=None,
            n_train=None,
            metrics=METRICS,
            checksum="3fdc98cbe6eaf72492cf7a9f357ad55671a36c54decd5e95b08f099ef71acc78",
        ),
    )
    source = "Chua et al., NUS-WIDE: A Real-World Web Image Database from National University of Singapore, CIVR 2009"
    licence = "research use only, by the publisher's agreement; images: their owners' on Flickr"
    views = PHOTO_VIEWS
    image_size = 224
    files = ("ImageList", "Groundtruth", *FOLDERS, *LISTS.values())
    needs = (
        f"--data-dir DIR with {IMAGE_LIST}, {LABELS}/Labels_<concept>.txt and the images in {' or '.join(FOLDERS)}; or "
        "with test.txt, train.txt and, if there is one, database.txt, lines 'path l1 … l21' (or … l81), and the images"
    )

    def read(self, options: LoadOptions) -> Items:
        """Read the publisher's files, or where they are not there, split lists."""
        directory = data_directory(options, self.name, self.needs)
        if (directory / IMAGE_LIST).is_file():
            return _read_official(directory)
        if (directory / LISTS["query"]).is_file():
            return _read_lists(directory)
        raise InputError(f"{directory} has neither {IMAGE_LIST} nor {LISTS['query']}; give {self.needs}")

    def settle(self, items: Items, protocol: Protocol, options: LoadOptions) -> tuple[Protocol, Items]:
        """Measure by the split lists where the files are these."""
        assert items.labels is not None
        drawn, *lists = self.protocols
        listed = lists[items.labels.shape[1] != N_LABELS]
        if options.protocol is None:
            protocol = listed if items.parts else drawn
        if bool(items.parts) == bool(protocol.draw):
            raise InputError(
                f"--protocol {protocol.name} needs {IMAGE_LIST if protocol.draw else LISTS['query']}, the data came "
                f"from {LISTS['query'] if items.parts else IMAGE_LIST}"
            )
        if items.parts and not protocol.name.startswith(listed.name):
            width = items.labels.shape[1]
            raise InputError(f"--protocol {protocol.name}: the lists have {width} labels a line: {listed.name}")
        return protocol, items

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the lists' parts, or draw queries and training set label by label."""
        if not protocol.draw:
            return Split(items.parts["train"], items.parts["query"], items.parts["database"])
        assert items.labels is not None
        query = draw_per_label(items.labels, int(protocol.draw["queries_per_label"]), 0)
        database = np.setdiff1d(np.arange(len(items)), query)
        per_label = int(protocol.draw["training_per_label"])
        return Split(draw_per_label(items.labels, per_label, 1, among=database), query, database)


def _read_official(directory: Path) -> Items:
    """Read the publisher's image list and label files; images without a frequent concept are dropped."""
    image_list = directory / IMAGE_LIST
    names = [normal(line) for line in _every_line(image_list)]
    labels, concepts = _most_frequent(directory / LABELS, len(names))
    rows = np.flatnonzero(labels.any(axis=1))
    if len(names) == N_WHOLE and (set(concepts) != FREQUENT or len(rows) != N_LABELLED):
        raise InputError(
            f"{directory / LABELS}: the {N_LABELS} most frequent concepts are {', '.join(sorted(concepts))}, on "
            f"{len(rows):,} images; NUS-WIDE's are {', '.join(sorted(FREQUENT))}, on {N_LABELLED:,}; fetch it again"
        )
    folder, nested = _image_folder(directory, names)
    files = [located(folder, names[row], f"{image_list} line {row + 1}")[1] for row in rows]
    files = files if nested else [folder / file.name for file in files]
    refuse_repeated([str(file) for file in files], f"{image_list}: images with a label")
    if not files:
        raise InputError(f"{directory} (NUS-WIDE): no image has a label")
    return Items(
        images=ImageFiles(files, [str(file) for file in files]),
        labels=labels[rows],
        label_names=concepts,
        names=[names[row] for row in rows],
        provenance="unchecked",
    )


def _most_frequent(folder: Path, n_images: int) -> tuple[np.ndarray, list[str]]:
    """Return the labels, bool of shape (n_images, 21), of the concepts with most images, then by name; and these."""
    label_files = sorted(folder.glob("Labels_*.txt"))
    expected = N_CONCEPTS if n_images == N_WHOLE else max(len(label_files), N_LABELS)
    if len(label_files) != expected:
        raise InputError(f"{folder} has {len(label_files)} files Labels_<concept>.txt, expected {expected}")
    columns = {}
    for file in label_files:
        lines = _every_line(file)
        if len(lines) != n_images:
            raise InputError(f"{file} has {len(lines):,} lines, {IMAGE_LIST} has {n_images:,}; fetch both again")
        columns[file.stem.removeprefix("Labels_")] = marked(np.array(lines), file, range(1, n_images + 1))
    concepts = sorted(columns, key=lambda concept: (-columns[concept].sum(), concept))[:N_LABELS]
    return np.stack([columns[concept] for concept in concepts], axis=1), concepts


def _image_folder(directory: Path, names: Sequence[str]) -> tuple[Path, bool]:
    """Return the folder of the images, and whether it has the subfolders of the list or none."""
    for folder in (directory / name for name in FOLDERS):
        if folder.is_dir():
            below = {child.name for child in folder.iterdir() if child.is_dir()}
            return folder, any(name.partition("/")[0] in below for name in names)
    raise InputError(f"{directory} has no folder {' or '.join(FOLDERS)} with NUS-WIDE's images")


def _read_lists(directory: Path) -> Items:
    """Read the split lists; an item that is in several lists is one item."""
    rows: dict[str, int] = {}
    files: dict[str, Path] = {}
    labels: list[np.ndarray] = []
    parts: dict[str, np.ndarray] = {}
    for part, file in ((part, directory / name) for part, name in LISTS.items()):
        if part == "database" and not file.exists():
            continue
        numbers, paths, values = _read_list(file)
        if labels and len(labels[0]) != values.shape[1]:
            raise InputError(f"{file} has {values.shape[1]} labels a line, {LISTS['query']} {len(labels[0])}")
        places = [
            located(directory, path, f"{file} line {number}") for number, path in zip(numbers, paths, strict=True)
        ]
        names = [name for name, _ in places]
        refuse_repeated(names, str(file))
        files |= dict(places)
        for number, name, value in zip(numbers, names, values, strict=True):
            row = rows.setdefault(name, len(rows))
            if row == len(labels):
                labels.append(value)
            elif row < len(parts.get("query", ())):
                raise InputError(f"{file} line {number}: {name!r} is a query, by {LISTS['query']}")
            elif (labels[row] != value).any():
                raise InputError(f"{file} line {number}: {name!r} has other labels in {LISTS['database']}")
        parts[part] = np.array([rows[name] for name in names], np.int64)
    parts.setdefault("database", parts["train"])
    return Items(
        images=ImageFiles([files[name] for name in rows], [str(files[name]) for name in rows]),
        labels=np.stack(labels),
        names=list(rows),
        parts=parts,
        provenance="unchecked",
    )


def _read_list(file: Path) -> tuple[list[int], list[str], np.ndarray]:
    """Return the numbers of a split list's lines, their paths, and their labels, bool of shape (n, 21) or (n, 81)."""
    lines = _lines(file)
    paths, labels = marked_lines(lines, file, (N_LABELS, N_CONCEPTS))
    return list(lines), paths, labels


def _every_line(file: Path) -> list[str]:
    """Return all lines up to the last that holds something: the number of a line says which image it is about."""
    lines = _lines(file)
    return [lines.get(number, "") for number in range(1, max(lines) + 1)]


def _lines(file: Path) -> dict[int, str]:
    """Return the lines that hold something, by their numbers."""
    try:
        lines = dict(text_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({type(error).__name__}); fetch it again") from error
    if not lines:
        raise InputError(f"{file} is empty")
    return lines
