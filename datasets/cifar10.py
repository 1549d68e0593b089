"""CIFAR-10: 60,000 images of 32 × 32 pixels in ten classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.cifar import (
    check_counts,
    joined,
    parquet_folder,
    parse_batch,
    read_batches,
    read_class_folders,
    read_parquet,
)
from hashbench.data.readers.publisher_files import data_directory
from hashbench.data.splits import Split, draw_per_class, official_split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
# MD5 sums that torchvision states for the publisher's files.
BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIZES = {"train": 50_000, "test": 10_000}


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
    needs = (
        f"--data-dir DIR with {ARCHIVE}, its folder {FOLDER}, {{train,test}}-*.parquet (columns img or image, "
        "and label) or class folders train/<class>/* and test/<class>/*; or --download"
    )

    def read(self, options: LoadOptions) -> Items:
        """Read whichever layout lies in the data directory, official files before copies."""
        directory = data_directory(options, self.name, self.needs, _fetch)
        images: np.ndarray | ImageFiles
        official, batches_read = False, read_batches(directory, ARCHIVE, FOLDER, BATCH_MD5)
        if batches_read is not None:
            batches, official, where = batches_read
            parsed = [parse_batch(batches[name], f"{where}: {name}", "labels", 10) for name in BATCH_MD5]
            images, labels = np.concatenate([batch[0] for batch in parsed]), [batch[1] for batch in parsed]
        else:
            copied = parquet_folder(directory)
            if copied is not None:
                copies = [read_parquet(copied, part, "label", 10) for part in ("train", "test")]
            elif all((directory / part).is_dir() for part in ("train", "test")):
                copies = [read_class_folders(directory / part, CLASSES) for part in ("train", "test")]
            else:
                raise InputError(f"{directory} holds no CIFAR-10 that hashbench knows; give {self.needs}")
            images, labels = joined([part[0] for part in copies]), [part[1] for part in copies]
        train, test = np.split(np.arange(len(images)), [len(images) - len(labels[-1])])
        if not options.skip_broken:
            check_counts({"train": len(train), "test": len(test)}, SIZES, directory)
        return Items(
            images=images,
            labels=np.concatenate(labels),
            label_names=CLASSES,
            parts={"train": train, "test": test},
            provenance="official" if official else "copy (not the publisher's files)",
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, or draw queries out of all images."""
        labels, per_class = items.labels, int(protocol.draw["training_per_class"])
        assert labels is not None
        if "queries_per_class" not in protocol.draw:
            return official_split(labels, items.parts, per_class)
        query = draw_per_class(labels, int(protocol.draw["queries_per_class"]), 0)
        database = np.setdiff1d(np.arange(len(labels)), query)
        return Split(draw_per_class(labels, per_class, 1, among=database), query, database)


def _fetch(root: str) -> None:
    from torchvision.datasets import CIFAR10 as Download

    Download(root, download=True)
