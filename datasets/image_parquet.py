"""Any images with labels in parquet files, as the Hugging Face hub has them."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.image_parquet import ARROW, read_image_parquet
from hashbench.data.readers.shards import files_of_parts
from hashbench.data.splits import OWN_DRAW, Split, own_split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError


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
        "--data-dir FILE.parquet, or DIR with files as the hub has them (train-00000-of-00002.parquet, test-…; or "
        "default/train/0000.parquet; or what Dataset.save_to_disk wrote), "
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
        found = files_of_parts(options.data_dir, (".parquet", ARROW))
        table = read_image_parquet(found.files, options.image_column, options.label_column, found.parts)
        read_as, passed_over = f"{table.read_as} of {found.read_as}", found.passed_over + table.passed_over
        return replace(table, read_as=read_as, passed_over=passed_over).items(options.look)

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the parts that the files name, or draw the queries; bound the training set."""
        return own_split(items, protocol)
