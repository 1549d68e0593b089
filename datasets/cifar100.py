"""CIFAR-100: 60,000 images of 32 × 32 pixels in a hundred classes."""

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
from hashbench.data.splits import Split, official_split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError

ARCHIVE = "cifar-100-python.tar.gz"
FOLDER = "cifar-100-python"
# MD5 sums that torchvision states for the publisher's files.
MD5 = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
_NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
CLASSES = _NAMES.split()
"""The fine labels, which the publisher numbers in alphabetical order."""
SIZES = {"train": 50_000, "test": 10_000}


class CIFAR100(HashDataset):
    """CIFAR-100: 60,000 colour images of 32 × 32 pixels in a hundred classes (its fine labels)."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="cifar100/1",
            split="classes are the 100 fine labels; database: the official 50,000 training images; training set: 50 "
            "per class of it, classes ascending, each the first 50 of a permutation of its items by "
            "numpy.random.default_rng(0); queries: the official 10,000 test images",
            n_query=10_000,
            n_database=50_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"training_per_class": 50},
            checksum="8f948fdfb49ffaad452775c48a481f424a6cd1aeb0d852c62494c09d1dbbfcfd",
        ),
    )
    source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    licence = "none stated by the publisher; research use is customary"
    views = PHOTO_VIEWS
    image_size = 128
    needs = (
        f"--data-dir DIR with {ARCHIVE}, its folder {FOLDER}, {{train,test}}-*.parquet (columns img or image, and "
        "fine_label) or class folders train/<class>/* and test/<class>/*; or --download"
    )

    def read(self, options: LoadOptions) -> Items:
        """Read whichever layout lies in the data directory, the publisher's files before copies."""
        directory = data_directory(options, self.name, self.needs, _fetch)
        images: np.ndarray | ImageFiles
        official, batches_read = False, read_batches(directory, ARCHIVE, FOLDER, MD5)
        if batches_read is not None:
            batches, official, where = batches_read
            parsed = [parse_batch(batches[part], f"{where}: {part}", "fine_labels", 100) for part in MD5]
            images, labels = np.concatenate([part[0] for part in parsed]), [part[1] for part in parsed]
        else:
            copied = parquet_folder(directory)
            if copied is not None:
                copies = [read_parquet(copied, part, "fine_label", 100) for part in MD5]
            elif all((directory / part).is_dir() for part in MD5):
                copies = [read_class_folders(directory / part, CLASSES) for part in MD5]
            else:
                raise InputError(f"{directory} holds no CIFAR-100 that hashbench knows; give {self.needs}")
            images, labels = joined([part[0] for part in copies]), [part[1] for part in copies]
        train, test = (np.arange(len(part)) for part in labels)
        if not options.skip_broken:
            check_counts({"train": len(train), "test": len(test)}, SIZES, directory)
        return Items(
            images=images,
            labels=np.concatenate(labels),
            label_names=CLASSES,
            parts={"train": train, "test": len(train) + test},
            provenance="official" if official else "copy (not the publisher's files)",
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, and draw the training set."""
        assert items.labels is not None
        return official_split(items.labels, items.parts, int(protocol.draw["training_per_class"]))


def _fetch(root: str) -> None:
    from torchvision.datasets import CIFAR100 as Download

    Download(root, download=True)
