"""Your own labelled images: class folders, or a CSV, JSON lines or parquet file of paths and labels."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.labelled_images import list_images
from hashbench.data.splits import OWN_DRAW, Split, own_split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError


class Folder(HashDataset):
    """Your own labelled images: class folders, or a CSV, JSON lines or parquet file of paths and labels."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="folder/1",
            split="images in the order of their paths, or of the table's rows; queries: the part query or test where "
            "the data names parts, else 10 % of the images, at most 1,000; database: all others; training set: the "
            "part train, else the database, at most 5,000 of it. A share is drawn from every class alike, rounded down "
            "but at least one image: classes ascending, each the first of a permutation of its items; from images with "
            "several labels, the first of one permutation of all. Permutations are by numpy.random.default_rng, with "
            "seed 0 for the queries and 1 for the training set",
            n_query=None,
            n_database=None,
            n_train=None,
            # A few thousand images are found here, not sixty thousand: the first hundred are what a user looks at.
            metrics=("mAP@100", "mAP@all", "P@100"),
            seed=0,
            draw=OWN_DRAW,
            checksum="05581f97e98814c392a67d02c6e27c5642d3c502968215c07dfe6611e8ee5c27",
        ),
    )
    source = "your own images"
    licence = "your own"
    needs = (
        "--data-dir DIR with class folders <class>/**/*, by themselves, or in train/ and test/, or in query/ and "
        "database/; or --data-dir FILE, a .csv, .jsonl or .parquet with the columns path (relative to the file), "
        "label (several with | or ; between them) and perhaps part (query, database or train); --label-column names "
        "another"
    )
    reads = ("exif", "background", "grey_range", "label_column")
    views = PHOTO_VIEWS
    # The size that EfficientNet-Lite0 was trained at; photographs are larger, and at 128 pixels would lose detail.
    image_size = 224

    def read(self, options: LoadOptions) -> Items:
        """List the images and read their labels."""
        if options.data_dir is None:
            raise InputError(f"{self.name} needs your images: give {self.needs}")
        return list_images(options.data_dir, options.label_column).items(options.look)

    def watched(self, file: Path) -> Path:
        """Return the folder of a table's images."""
        return file.parent

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the parts that the data names, or draw the queries; bound the training set."""
        return own_split(items, protocol)
