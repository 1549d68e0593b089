"""CIFAR-10: 60,000 images of 32 × 32 pixels in ten classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.cifar import CifarFiles, read_cifar
from hashbench.data.splits import Split, draw_per_class, official_split
from hashbench.data.view_recipes import PHOTO_VIEWS

# MD5 sums that torchvision states for the publisher's files.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FILES = CifarFiles("CIFAR-10", "cifar-10-python.tar.gz", "cifar-10-batches-py", MD5, CLASSES)


class CIFAR10(HashDataset):
    """CIFAR-10: 60,000 colour images of 32 × 32 pixels in ten classes."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="cifar10-cibhash/1",
            split="database: the official 50,000 training images; training set: 500 per class of it, classes "
            "ascending, each the first 500 of a permutation of its items by numpy.random.default_rng(0); "
            "queries: the official 10,000 test images",
            n_query=10_000,
            n_database=50_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"training_per_class": 500},
            checksum="75d40542d94cec1668b9565d2bca25a8a00fd30703bdbb197b7140f01d794fab",
        ),
        Protocol(
            name="cifar10-1k/1",
            split="all 60,000 images, training images before test images: queries: 100 per class, classes ascending, "
            "each the first 100 of a permutation of its items by numpy.random.default_rng(0); database: the other "
            "59,000; training set: 500 per class of the database, drawn likewise by numpy.random.default_rng(1)",
            n_query=1_000,
            n_database=59_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"queries_per_class": 100, "training_per_class": 500},
            checksum="abe9fe4d7829c4e750ec7cb388179680bbeee84bfc2d88d2233a09c783a1b710",
        ),
    )
    source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    licence = "none stated by the publisher; research use is customary"
    views = PHOTO_VIEWS
    image_size = 128
    files = ("cifar-10-*", "*_batch*", "*.parquet", "plain_text", "cifar10", "train", "test")
    needs = FILES.needs

    def read(self, options: LoadOptions) -> Items:
        """Read whichever layout is in the data directory, the publisher's files before copies."""
        return read_cifar(FILES, self.name, options)

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, or draw queries out of all images."""
        labels, per_class = items.labels, int(protocol.draw["training_per_class"])
        assert labels is not None
        if "queries_per_class" not in protocol.draw:
            return official_split(labels, items.parts, per_class)
        query = draw_per_class(labels, int(protocol.draw["queries_per_class"]), 0)
        database = np.setdiff1d(np.arange(len(labels)), query)
        return Split(draw_per_class(labels, per_class, 1, among=database), query, database)
