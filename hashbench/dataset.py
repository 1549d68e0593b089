"""The contract of a data set: what it holds, how it is split, and by which protocol it is measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hashbench.errors import InputError


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Protocol:
    """A named, versioned, frozen way to measure: change anything and it needs a new version.

    Attributes
    ----------
    name : str
        ``<data set>-<variant>/<version>``.
    split : str
        How queries, database and training set are drawn, in words that another lab can follow.
    n_query, n_database, n_train : int
        Sizes that the split must have.
    metrics : tuple of str
        Names of the metrics, the headline first.
    seed : int or None
        Seed of the draw; None where nothing is drawn.
    ties : str
        How items at the same Hamming distance are ranked.
    """

    name: str
    split: str
    n_query: int
    n_database: int
    n_train: int
    metrics: tuple[str, ...]
    seed: int | None = None
    ties: str = "expectation over all orders"

    @property
    def hash(self) -> str:
        """SHA-256 of everything the protocol says."""
        return canonical_hash(asdict(self))


@dataclass(frozen=True)
class Split:
    """Row indices of the three parts, int64 arrays into the data."""

    train: np.ndarray
    query: np.ndarray
    database: np.ndarray


@dataclass(frozen=True)
class ViewRecipe:
    """How a data set's images are augmented into views; zeros switch a step off.

    The steps run in the order of the fields. Attributes give ranges: ``crop_scale`` is the area share of a
    random resized crop (aspect ratio within ``crop_ratio``), ``flip`` a probability, ``rotation`` degrees
    either way, ``shift`` pixels of the original image either way, ``zoom`` a scale range; ``brightness``,
    ``contrast``, ``saturation`` and ``hue`` are torchvision's ColorJitter strengths, applied in random order
    with probability ``jitter``; ``gray`` is a probability; a 3 × 3 Gaussian blur with sigma in
    ``blur_sigma`` pixels is applied with probability ``blur``.
    """

    name: str
    crop_scale: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gray: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)


PHOTO_VIEWS = ViewRecipe(
    "cibhash-photo/1",
    crop_scale=(0.5, 1.0),
    flip=0.5,
    jitter=0.7,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    gray=0.2,
    blur=0.5,
)
"""The augmentations of CIBHash's code, for photographs."""


@dataclass(frozen=True)
class Dataset:
    """A loaded data set.

    Attributes
    ----------
    name : str
        The plugin's name.
    protocol : Protocol
    split : Split
    labels : ndarray of shape (n,), int64
        Class of each item; two items are relevant to each other if their classes are equal.
    images : ndarray of shape (n, h, w, c), uint8, optional
    features : ndarray of shape (n, d), float32, optional
        Vectors that come with the data; no backbone is used then.
    views : ViewRecipe, optional
        How images are augmented.
    backbone : str
        Default backbone.
    image_size : int, optional
        Default side in pixels that the backbone gets.
    provenance : str
        ``official`` where the publisher's checksum held, else what the data is.
    """

    name: str
    protocol: Protocol
    split: Split
    labels: np.ndarray
    images: np.ndarray | None = None
    features: np.ndarray | None = None
    views: ViewRecipe | None = None
    backbone: str = "tf_efficientnet_lite0"
    image_size: int | None = None
    provenance: str = "official"

    def __post_init__(self) -> None:
        """Refuse a split that is not the protocol's, or data that does not fit together."""
        for part in ("query", "database", "train"):
            found, stated = len(getattr(self.split, part)), getattr(self.protocol, f"n_{part}")
            if found != stated:
                raise InputError(
                    f"{self.name}: the {part} part has {found} items, {self.protocol.name} says {stated}: "
                    "is the data complete?"
                )
        data = self.images if self.images is not None else self.features
        if data is None:
            raise InputError(f"{self.name}: a data set needs images or features")
        if len(data) != len(self.labels):
            raise InputError(f"{self.name}: {len(data)} items but {len(self.labels)} labels")

    @cached_property
    def data_fingerprint(self) -> str:
        """SHA-256 of the raw items (images or features)."""
        data = self.images if self.images is not None else self.features
        assert data is not None
        digest = hashlib.sha256(f"{data.dtype} {data.shape}".encode())
        for start in range(0, len(data), 4096):
            digest.update(np.ascontiguousarray(data[start : start + 4096]).data)
        return digest.hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of items, labels and split together."""
        digest = hashlib.sha256(self.data_fingerprint.encode())
        for array in (self.labels, self.split.train, self.split.query, self.split.database):
            digest.update(np.ascontiguousarray(array, dtype=np.int64).data)
        return digest.hexdigest()


HELD_OUT = "+validation"
"""Ends the name of a protocol whose method has looked at half of the queries."""


def hold_out_validation(dataset: Dataset) -> tuple[Dataset, np.ndarray]:
    """Take a random half of the queries away, for a method that chooses by labelled validation queries.

    Returns
    -------
    dataset : Dataset
        With the other half as its queries, under a protocol of its own.
    validation : ndarray of int64
        Rows of the half that was taken, ascending.
    """
    query, protocol = dataset.split.query, dataset.protocol
    order = np.random.default_rng(0).permutation(len(query))
    half = len(query) // 2
    validation, rest = np.sort(query[order[:half]]), np.sort(query[order[half:]])
    held_out = replace(
        protocol,
        name=f"{protocol.name}{HELD_OUT}",
        split=f"{protocol.split}; of them, the first {half} of a permutation by numpy.random.default_rng(0) are "
        "validation queries, whose labels the method sees, and the others are scored",
        n_query=len(rest),
    )
    return replace(dataset, protocol=held_out, split=replace(dataset.split, query=rest)), validation


@dataclass(frozen=True)
class LoadOptions:
    """What a run tells a data set: where its files are, where to cache, whether it may download."""

    data_dir: Path | None = None
    cache_dir: Path | None = None
    download: bool = False


class HashDataset:
    """Base class of a data set plugin: facts as class attributes, and ``load``.

    Attributes
    ----------
    protocol : Protocol
    source, licence : str
        Where the data comes from and under which terms.
    needs : str
        What the user must bring; empty where nothing.
    """

    name: ClassVar[str] = ""
    protocol: ClassVar[Protocol]
    source: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    needs: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the data set after its file."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]

    def load(self, options: LoadOptions) -> Dataset:
        """Read the data.

        Raises
        ------
        InputError
            The data is missing, incomplete or corrupt.
        """
        raise NotImplementedError


def draw_per_class(labels: np.ndarray, per_class: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
    """Draw ``per_class`` items of each class, sorted by index.

    Classes go in ascending order; each takes the first ``per_class`` entries of a permutation by one
    `numpy.random.default_rng` generator.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    per_class : int
    seed : int
    among : ndarray of int64, optional
        Indices to draw from; all by default.

    Returns
    -------
    ndarray of int64
    """
    rng = np.random.default_rng(seed)
    pool = np.arange(len(labels)) if among is None else among
    drawn = []
    for label in np.unique(labels[pool]):
        members = pool[labels[pool] == label]
        if len(members) < per_class:
            raise InputError(f"class {label} has {len(members)} items, {per_class} are to be drawn")
        drawn.append(rng.permutation(members)[:per_class])
    return np.sort(np.concatenate(drawn)).astype(np.int64)
