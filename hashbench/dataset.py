"""The contract of a data set: what it holds, how it is split, and by which protocol it is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from hashbench.errors import InputError
from hashbench.images import EncodedImages, ImageFiles
from hashbench.protocol import Protocol, choose_protocol
from hashbench.splits import Split, read_lists


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
    labels : ndarray, optional
        int64 of shape (n,): two items of one class are relevant to each other; or bool of shape (n, n_labels): two
        items that share a label are.
    images : ndarray of shape (n, h, w, c), uint8, or EncodedImages, optional
    features : ndarray of shape (n, d), float32, optional
        Vectors that come with the data; no backbone is used then.
    neighbors : ndarray of shape (n_query, k), int64, optional
        In place of labels: each query's true nearest neighbours, nearest first, as places in the database part.
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

    def __post_init__(self) -> None:
        """Refuse a split that is not the protocol's, or data that does not fit together."""
        for part in ("query", "database", "train"):
            found, stated = len(getattr(self.split, part)), getattr(self.protocol, f"n_{part}")
            if found == 0:
                raise InputError(f"{self.name}: the {part} part of {self.protocol.name} is empty")
            if stated is not None and not stated - self.n_left_out <= found <= stated:
                raise InputError(
                    f"{self.name}: the {part} part has {found} items, {self.protocol.name} says {stated}: "
                    "is the data complete?"
                )
        n = len(self)
        if self.labels is None and self.neighbors is None:
            raise InputError(f"{self.name}: a data set needs labels or neighbors")
        if self.labels is not None and len(self.labels) != n:
            raise InputError(f"{self.name}: {n} items but {len(self.labels)} labels")
        if self.neighbors is not None and len(self.neighbors) != len(self.split.query):
            raise InputError(
                f"{self.name}: {len(self.split.query)} queries but {len(self.neighbors)} rows of neighbors"
            )

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
        return digest.hexdigest()

    def relevance(self) -> dict[str, Any]:
        """Return what `hashbench.evaluate` needs to know of relevance, as its keyword arguments."""
        if self.labels is None:
            assert self.neighbors is not None
            return {"neighbors": self.neighbors}
        return {
            "query_labels": self.labels[self.split.query],
            "database_labels": self.labels[self.split.database],
        }


def fingerprint_of(items: np.ndarray | EncodedImages) -> str:
    """Return the SHA-256 of images or features: their dtype, shape and content."""
    if isinstance(items, EncodedImages):
        digest = hashlib.sha256(f"encoded {len(items)}".encode())
        digest.update(np.ascontiguousarray(items.offsets, dtype=np.int64).data)
        content: np.ndarray = items.data
    else:
        digest = hashlib.sha256(f"{items.dtype} {items.shape}".encode())
        content = items
    step = 4096 if content.ndim > 1 else 2**24
    for start in range(0, len(content), step):
        digest.update(np.ascontiguousarray(content[start : start + step]).data)
    return digest.hexdigest()


HELD_OUT = "+validation"
"""Ends the name of a protocol whose method has looked at half of the queries."""


def hold_out_validation(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Take a random half of the queries away, for a method that chooses by validation queries.

    Returns
    -------
    rest : Dataset
        With the other half as its queries, under a protocol of its own.
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


def _refuse_another_split(split: Split, protocol: Protocol) -> None:
    """Raise if the publisher's own data gives another split than the one that the protocol was published with."""
    if protocol.split_checksum and split.checksum != protocol.split_checksum:
        raise InputError(
            f"{protocol.name}: the split has the SHA-256 {split.checksum[:16]}…, published is "
            f"{protocol.split_checksum[:16]}…, though the files are the publisher's: does this version of numpy "
            f"({np.__version__}) draw otherwise?"
        )


@dataclass(frozen=True)
class LoadOptions:
    """What a run tells a data set.

    Attributes
    ----------
    data_dir : Path or None
        Where its files are; for some data sets one file.
    cache_dir : Path or None
    download : bool
        Whether missing files may be fetched from the publisher.
    protocol : str or None
        The protocol's name, with other numbers of the draw in brackets; None is the data set's first.
    splits : Path or None
        Folder of published lists that take the place of the draw.
    skip_broken : bool
        Leave broken images out, instead of refusing the data.
    """

    data_dir: Path | None = None
    cache_dir: Path | None = None
    download: bool = False
    protocol: str | None = None
    splits: Path | None = None
    skip_broken: bool = False


@dataclass(frozen=True)
class Items:
    """What a data set's files hold, before any split.

    Attributes
    ----------
    images : ndarray of shape (n, h, w, c), uint8, or ImageFiles, or EncodedImages, optional
    features : ndarray of shape (n, d), float32, optional
    labels : ndarray, optional
        int64 of shape (n,), or bool of shape (n, n_labels).
    label_names : sequence of str
        What the classes or labels are called.
    parts : dict from str to ndarray of int64
        Rows of each part that the publisher has named, such as ``train`` and ``test``.
    names : sequence of str, optional
        What published lists call each item.
    neighbors : ndarray of shape (n_query, k), int64, optional
        True nearest neighbours that come with the data.
    distance : {"euclidean", "angular"}
        By what neighbours are near, where they are to be computed.
    provenance : str
        ``official`` where the publisher's checksums held, else what the data is.
    left_out : sequence of str
        Items that could not be read and were left out.
    sha256 : str
        `fingerprint_of` the images or features, where it is known: plugins leave it empty.
    """

    images: np.ndarray | ImageFiles | EncodedImages | None = None
    features: np.ndarray | None = None
    labels: np.ndarray | None = None
    label_names: Sequence[str] = ()
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: Sequence[str] | None = None
    neighbors: np.ndarray | None = None
    distance: Literal["euclidean", "angular"] = "euclidean"
    provenance: str = "official"
    left_out: Sequence[str] = ()
    sha256: str = ""

    def __len__(self) -> int:
        """Return the number of items."""
        items = self.images if self.images is not None else self.features
        return 0 if items is None else len(items)


class HashDataset:
    """Base class of a data set plugin: facts as class attributes, ``read`` and ``split``.

    ``read`` turns the user's files into `Items`, ``split`` draws queries, database and training set out of them;
    everything else is here. A data set without files may define ``load`` instead.

    Attributes
    ----------
    protocols : tuple of Protocol
        The first is the default.
    source, licence : str
        Where the data comes from and under which terms.
    needs : str
        What the user must bring; empty where nothing.
    files : tuple of str
        Names of the files and folders in the data directory that ``read`` looks at, ``*`` standing for anything;
        where it is empty, all. Prepared data is made anew when one of them changes.
    views, backbone, image_size
        See `Dataset`.
    """

    name: ClassVar[str] = ""
    protocols: ClassVar[tuple[Protocol, ...]]
    source: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    files: ClassVar[tuple[str, ...]] = ()
    views: ClassVar[ViewRecipe | None] = None
    backbone: ClassVar[str] = "tf_efficientnet_lite0"
    image_size: ClassVar[int | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the data set after its file."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]

    def read(self, options: LoadOptions) -> Items:
        """Read the user's files.

        Raises
        ------
        InputError
            The data is missing, incomplete or corrupt.
        """
        raise NotImplementedError(f"{type(self).__name__} must define read, or load")

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Draw queries, database and training set as the protocol says.

        Raises
        ------
        InputError
            There are too few items.
        """
        raise NotImplementedError(f"{type(self).__name__} must define split, or load")

    def watched(self, file: Path) -> Path:
        """Return what is watched for changes where ``--data-dir`` names a file: the file, or the folder it is about."""
        return file

    def settle(self, items: Items, protocol: Protocol, options: LoadOptions) -> tuple[Protocol, Items]:
        """Return the protocol and the items that are measured, for data whose files decide the default protocol.

        Parameters
        ----------
        items : Items
        protocol : Protocol
            The one that the user chose, or the first.
        options : LoadOptions

        Raises
        ------
        InputError
            The files do not hold what the chosen protocol needs.
        """
        return protocol, items

    def neighbors(self, items: Items, split: Split, options: LoadOptions) -> np.ndarray | None:
        """Return true nearest neighbours as places in the database part, for data without labels."""
        return items.neighbors

    def load(self, options: LoadOptions) -> Dataset:
        """Return the data, split as the protocol says.

        Raises
        ------
        InputError
            The data is missing, incomplete or corrupt, or has too few items for the protocol.
        """
        protocol = choose_protocol(self.protocols, options.protocol)
        protocol, items = self.settle(self.items(options), protocol, options)
        if options.splits is None:
            try:
                split = self.split(items, protocol)
            except InputError as error:
                raise InputError(f"{self.name}: {protocol.name} cannot be drawn: {error}") from error
        else:
            split, checksum = read_lists(options.splits, items.names, len(items), items.left_out)
            protocol = replace(
                protocol,
                name=f"{protocol.name}+lists:{checksum[:8]}",
                split=f"published lists with the SHA-256 {checksum}",
                n_query=len(split.query),
                n_database=len(split.database),
                n_train=len(split.train),
                checksum="",
                split_checksum="",
            )
        if items.provenance == "official" and not items.left_out:
            _refuse_another_split(split, protocol)
        assert not isinstance(items.images, ImageFiles)
        return Dataset(
            name=self.name,
            protocol=protocol,
            split=split,
            labels=items.labels,
            images=items.images,
            features=items.features,
            neighbors=self.neighbors(items, split, options) if items.labels is None else None,
            views=self.views if items.images is not None else None,
            backbone=self.backbone,
            image_size=self.image_size,
            provenance=items.provenance + (f", {len(items.left_out):,} images left out" if items.left_out else ""),
            n_left_out=len(items.left_out),
            items_sha256=items.sha256,
        )

    def items(self, options: LoadOptions) -> Items:
        """Return what the files hold, prepared once and memory-mapped; see `hashbench.preparing.load_items`."""
        from hashbench.preparing import load_items

        return load_items(self, options)
