"""A loaded data set: what methods and runs see of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hashbench.data.images import EncodedImages
from hashbench.data.items import fingerprint_of
from hashbench.data.look import Look
from hashbench.data.protocol import HELD_OUT, Protocol
from hashbench.data.seen_classes import refuse_unsound_classes
from hashbench.data.splits import Split, refuse_unsound
from hashbench.data.view_recipes import ViewRecipe
from hashbench.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """A loaded data set.

    Attributes
    ----------
    name : str
        The plugin's name.
    protocol : Protocol
    split : Split
    labels : ndarray, optional
        int64 of shape (n,): two items of one class are relevant to each other; or bool of shape (n, n_labels): two
        items that share a label are.
    images : ndarray of shape (n, h, w, c), uint8, or EncodedImages, optional
    features : ndarray of shape (n, d), float32 or a type whose values float32 holds, optional
        Vectors that come with the data; no backbone is used then.
    neighbors : ndarray of shape (n_query, k), int64, optional
        In place of labels: each query's true nearest neighbours, nearest first, as rows of the database part.
    views : ViewRecipe, optional
        How images are augmented.
    backbone : str
        Default backbone.
    image_size : int, optional
        Default side in pixels that the backbone gets.
    provenance : str
        ``official`` where the publisher's checksum held, else what the data is.
    n_left_out : int
        Broken images that were left out, by which a part may fall short of the protocol's size.
    items_sha256 : str
        SHA-256 of the raw items where it is known already, as it is for prepared data; else computed when asked for.
    look : Look
        What of their look made a difference to images that were files: EXIF, background, grey range.
    centred : bool
        Whether the mean was subtracted from the features that come with the data.
    summary : tuple of str
        What was read, in a line or two: items, classes, parts, from where, what was left out, what is there twice.
    names : sequence of str, optional
        What published lists call each item; in general its path.
    label_names : sequence of str
        What the classes or labels are called.
    unseen : ndarray of int64, optional
        Classes that the training set has no item of, and whose queries are scored apart; None where none are.
    """

    name: str
    protocol: Protocol
    split: Split
    labels: np.ndarray | None = None
    images: np.ndarray | EncodedImages | None = None
    features: np.ndarray | None = None
    neighbors: np.ndarray | None = None
    views: ViewRecipe | None = None
    backbone: str = "tf_efficientnet_lite0"
    image_size: int | None = None
    provenance: str = "official"
    n_left_out: int = 0
    items_sha256: str = ""
    look: Look = Look()
    centred: bool = False
    summary: tuple[str, ...] = ()
    names: Sequence[str] | None = None
    label_names: Sequence[str] = ()
    unseen: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse a split that is unsound or not the protocol's, or data that does not fit together."""
        n = len(self)
        for part in ("query", "database", "train"):
            n_rows, stated = len(getattr(self.split, part)), getattr(self.protocol, f"n_{part}")
            if n_rows == 0:
                raise InputError(f"{self.name}: the {part} part of {self.protocol.name} is empty")
            if stated is not None and not stated - self.n_left_out <= n_rows <= stated:
                raise InputError(
                    f"{self.name}: the {part} part has {n_rows} items, {self.protocol.name} says {stated}: "
                    "is the data complete?"
                )
        refuse_unsound(self.split, n, f"{self.name}: {self.protocol.name}")
        if self.labels is None and self.neighbors is None:
            raise InputError(f"{self.name}: a data set needs labels or neighbors")
        if self.labels is not None and len(self.labels) != n:
            raise InputError(f"{self.name}: {n} items but {len(self.labels)} labels")
        if self.neighbors is not None and len(self.neighbors) != len(self.split.query):
            raise InputError(
                f"{self.name}: {len(self.split.query)} queries but {len(self.neighbors)} rows of neighbors"
            )
        if self.unseen is not None:
            what = f"{self.name}: {self.protocol.name}"
            refuse_unsound_classes(self.labels, self.split, self.unseen, self.label_names, what)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    @property
    def _items(self) -> np.ndarray | EncodedImages:
        items = self.images if self.images is not None else self.features
        if items is None:
            raise InputError(f"{self.name}: a data set needs images or features")
        return items

    @property
    def image_shape(self) -> tuple[int | None, int | None, int] | None:
        """Height, width and channels of the images; None for sides that differ, and where there are no images."""
        if isinstance(self.images, EncodedImages):
            return None, None, 3
        return None if self.images is None else self.images.shape[1:]

    @cached_property
    def data_fingerprint(self) -> str:
        """SHA-256 of the raw items (images or features)."""
        return self.items_sha256 or fingerprint_of(self._items)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of items, relevance and split together."""
        digest = hashlib.sha256(self.data_fingerprint.encode())
        if self.labels is not None and self.labels.ndim == 2:
            digest.update(f"labels {self.labels.shape}".encode() + np.packbits(self.labels).tobytes())
        elif self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype=np.int64).data)
        if self.neighbors is not None:
            digest.update(f"neighbors {self.neighbors.shape}".encode())
            digest.update(np.ascontiguousarray(self.neighbors, dtype=np.int64).data)
        for array in (self.split.train, self.split.query, self.split.database):
            digest.update(np.ascontiguousarray(array, dtype=np.int64).data)
        if self.unseen is not None:
            digest.update(b"unseen" + np.ascontiguousarray(self.unseen, dtype=np.int64).tobytes())
        return digest.hexdigest()

    def relevance(self) -> dict[str, Any]:
        """Return what `hashbench.evaluate` needs to know of relevance, as its keyword arguments."""
        if self.labels is None:
            assert self.neighbors is not None
            return {"neighbors": self.neighbors}
        return {
            "query_labels": self.labels[self.split.query],
            "database_labels": self.labels[self.split.database],
            **({} if self.unseen is None else {"unseen": self.unseen}),
        }


def hold_out_validation(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Take a random half of the queries away, for a method that chooses by validation queries.

    Returns
    -------
    rest : Dataset
        With the other half as its queries, under a separate protocol.
    validation : Dataset
        With the half that was taken as its queries.
    """
    query, protocol = dataset.split.query, dataset.protocol
    order = np.random.default_rng(0).permutation(len(query))
    half = len(query) // 2
    held_out = replace(
        protocol,
        name=f"{protocol.name}{HELD_OUT}",
        split=f"{protocol.split}; of them, the first {half} of a permutation by numpy.random.default_rng(0) are "
        "validation queries, whose labels the method sees, and the others are scored",
        n_query=None if protocol.n_query is None else protocol.n_query - half,
        checksum="",
        split_checksum="",
    )
    taken = replace(held_out, n_query=None)
    return _with_queries(dataset, held_out, order[half:]), _with_queries(dataset, taken, order[:half])


def _with_queries(dataset: Dataset, protocol: Protocol, which: np.ndarray) -> Dataset:
    """Return the data with some of its queries, in ascending order of their rows."""
    which = which[np.argsort(dataset.split.query[which])]
    return replace(
        dataset,
        protocol=protocol,
        split=replace(dataset.split, query=dataset.split.query[which]),
        neighbors=None if dataset.neighbors is None else dataset.neighbors[which],
    )
