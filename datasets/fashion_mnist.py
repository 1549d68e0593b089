"""Fashion-MNIST: 70,000 grey images of clothes, 28 × 28 pixels in ten classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.readers.idx import find_idx, read_idx
from hashbench.data.readers.publisher_files import are_official, data_directory
from hashbench.data.splits import Split, official_split
from hashbench.data.view_recipes import ViewRecipe
from hashbench.errors import InputError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""
SIZES = {"train": 60_000, "t10k": 10_000}
# MD5 sums of the unpacked files; gzip's own header differs between the publisher's copy and Debian's.
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
CLASSES = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]


class FashionMNIST(HashDataset):
    """Fashion-MNIST: 70,000 grey images of clothes, 28 × 28 pixels in ten classes."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="fashion-mnist/1",
            split="database: the official 60,000 training images; training set: 500 per class of it, classes "
            "ascending, each the first 500 of a permutation of its items by numpy.random.default_rng(0); "
            "queries: the official 10,000 test images",
            n_query=10_000,
            n_database=60_000,
            n_train=5_000,
            metrics=("mAP@1000", "mAP@all", "P@100", "P@1000"),
            seed=0,
            draw={"training_per_class": 500},
            checksum="beef2a974f19b678e72adae57b5593b5f66b0cc95769cb5ddec6d05745e0f78d",
            split_checksum="3584edb9c60fb808578c7354285131a0a182c4811cc9e66b037d9ad1c5796b21",
        ),
    )
    source = "Xiao, Rasul, Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning, 2017"
    licence = "MIT (Zalando SE)"
    needs = (
        "--data-dir DIR with {train,t10k}-{images-idx3,labels-idx1}-ubyte, each as it is or as .gz; or --download; or "
        "Debian's package dataset-fashion-mnist, which is found by itself"
    )
    # Clothes fill their frames on a black ground and have no colour. What may change is the place and extent of the
    # crop, left and right, and a little of the light: more would wash the prints of light clothes out.
    views = ViewRecipe("fashion-mnist/1", crop_scale=(0.6, 1.0), flip=0.5, shift=2.0, jitter=0.7, brightness=0.2)
    image_size = 128

    def read(self, options: LoadOptions) -> Items:
        """Read the four idx files."""
        if options.data_dir is None and not options.download and DEBIAN.is_dir():
            options = replace(options, data_dir=DEBIAN)
        folder = data_directory(options, self.name, self.needs, _fetch)
        if (folder / "FashionMNIST" / "raw").is_dir():  # torchvision's layout
            folder = folder / "FashionMNIST" / "raw"
        missing = [name for name in MD5 if find_idx(folder, name) is None]
        if missing:
            raise InputError(f"{folder} lacks {', '.join(missing)} (as it is or as .gz); give {self.needs}")
        parts = [_read_part(folder, part, n) for part, n in SIZES.items()]
        images, labels, sums = zip(*parts, strict=True)
        official = are_official(dict(zip(MD5, [*sums[0], *sums[1]], strict=True)), MD5, folder)
        train, test = (np.arange(n) for n in SIZES.values())
        return Items(
            images=np.concatenate(images)[..., None],
            labels=np.concatenate(labels).astype(np.int64),
            label_names=CLASSES,
            parts={"train": train, "test": len(train) + test},
            provenance="official" if official else "copy (not the publisher's files)",
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Take the official parts, and draw the training set."""
        assert items.labels is not None
        return official_split(items.labels, items.parts, int(protocol.draw["training_per_class"]))


def _read_part(folder: Path, part: str, n: int) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Return a part's images, its labels, and the MD5 sums of the two files."""
    files = [find_idx(folder, f"{part}-{kind}-ubyte") or folder for kind in ("images-idx3", "labels-idx1")]
    images, images_md5 = read_idx(files[0], (n, 28, 28))
    labels, labels_md5 = read_idx(files[1], (n,))
    if labels.max() > 9:
        row = int(np.argmax(labels > 9))
        raise InputError(f"{files[1]}: item {row} has label {labels[row]}, expected 0 to 9")
    return images, labels, (images_md5, labels_md5)


def _fetch(root: str) -> None:
    from torchvision.datasets import FashionMNIST as Download

    Download(root, download=True)
