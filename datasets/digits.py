"""Handwritten digits of scikit-learn: 1,797 images of 8 × 8 pixels, embedded, no download."""

from typing import ClassVar

import numpy as np

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split, draw_per_class
from hashbench.data.view_recipes import ViewRecipe


class Digits(HashDataset):
    """Handwritten digits of scikit-learn: 8 × 8 grey images, embedded, no download."""

    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="digits/1",
            split="queries: 30 per class, classes ascending, each the first 30 of a permutation of its items by "
            "numpy.random.default_rng(0); all other images are database and training set",
            n_query=300,
            n_database=1497,
            n_train=1497,
            metrics=("mAP@100", "mAP@all", "P@100"),
            seed=0,
            draw={"queries_per_class": 30},
            checksum="69ec179ae3d2a5834538285403aca5347f4f64226db13e8c9eea3ed122637334",
            split_checksum="649285e361c6e3d8e4f35280bd61b1dfd2a6de6428259d57a21e5d30bad075f0",
        ),
    )
    source = "scikit-learn's load_digits: test part of UCI's Optical Recognition of Handwritten Digits"
    licence = "CC BY 4.0 (UCI), BSD-3-Clause (the copy in scikit-learn)"
    views = ViewRecipe("digits/1", rotation=10.0, shift=1.0, zoom=(0.85, 1.15), jitter=1.0, brightness=0.2)
    backbone = "pixels"
    embedded = True

    def read(self, options: LoadOptions) -> Items:
        """Read the images that come with scikit-learn, grey levels 0..16 spread over 0..255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        return Items(
            images=np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None],
            labels=digits.target.astype(np.int64),
            label_names=[str(digit) for digit in range(10)],
        )

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Draw the queries; the rest is database and training set."""
        assert items.labels is not None
        query = draw_per_class(items.labels, int(protocol.draw["queries_per_class"]), seed=0)
        rest = np.setdiff1d(np.arange(len(items)), query)
        return Split(train=rest, query=query, database=rest)
