"""The contract of a data set plugin: what its files hold, and how that is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from hashbench.dataset import Dataset
from hashbench.errors import InputError
from hashbench.images import EncodedImages, ImageFiles
from hashbench.protocol import Protocol, choose_protocol
from hashbench.recipes import ViewRecipe
from hashbench.splits import Split, read_lists


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
        What published lists call the images that are missing or broken and were left out: plugins leave it empty.
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


def _refuse_another_split(split: Split, protocol: Protocol) -> None:
    """Raise if the publisher's own data gives another split than the one that the protocol was published with."""
    if protocol.split_checksum and split.checksum != protocol.split_checksum:
        raise InputError(
            f"{protocol.name}: the split has the SHA-256 {split.checksum[:16]}…, published is "
            f"{protocol.split_checksum[:16]}…, though the files are the publisher's: does this version of numpy "
            f"({np.__version__}) draw otherwise?"
        )
