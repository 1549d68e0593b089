"""CIFAR-100: 60,000 images of 32 × 32 pixels in a hundred classes."""

from __future__ import annotations

from typing import ClassVar

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.cifar import CifarFiles, read_cifar_set
from hashbench.data.splits import Split, official_split
from hashbench.data.view_recipes import PHOTO_VIEWS

# MD5 sums that torchvision states for the publisher's files. What is official is decided by the set, not by them.
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
FILES = CifarFiles("CIFAR-100", "cifar-100-python.tar.gz", "cifar-100-python", MD5, CLASSES, label="fine_label")


class CIFAR100(HashDataset):
    """CIFAR-100: 60,000 colour images of 32 × 32 pixels in a hundred classes (its fine labels)."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="cifar100/2",
            split="classes are the 100 fine labels; the images of the official training and test part are sorted, each "
            "part by itself, by the SHA-256 of their 3,072 bytes (rows, columns, red green blue), equal images by "
            "label; database: the 50,000 training images in this order; training set: 50 per class of it, classes "
            "ascending, each the first 50 of a permutation of its items by numpy.random.default_rng(0); queries: the "
            "10,000 test images in this order",
            n_query=10_000,
            n_database=50_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"training_per_class": 50},
            checksum="45f107ff017c549b35bf3955cf479e882a2c1db4a1f427d0ebfaf604e9489b19",
            split_checksum="e4a1659be86125946cd23b434a69c580d26f2e6aa5cd36d4d3b85ff982ea65ab",
        ),
    )
    source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    licence = "none stated by the publisher; research use is customary"
    views = PHOTO_VIEWS
    image_size = 128
    needs = FILES.needs
    set_sha256 = "d1ed8d652b342ed10444431188d4c63e20c04bf23f976a3d0c3220b2da5252bc"

    def read(self, options: LoadOptions) -> Items:
        """Read whichever layout is in the data directory; images in another order are the same data."""
        return read_cifar_set(FILES, self.name, options)

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, and draw the training set."""
        assert items.labels is not None
        return official_split(items.labels, items.parts, int(protocol.draw["training_per_class"]))
