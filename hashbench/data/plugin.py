"""The contract of a data set plugin: what its files hold, and how that is split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hashbench.data.items import Items
from hashbench.data.options import LoadOptions
from hashbench.data.protocol import NAMED_IN_PAPERS, Protocol
from hashbench.data.splits import Split
from hashbench.data.view_recipes import ViewRecipe
from hashbench.guard.plugin_code import asking, returned


class HashDataset:
    """Base class of a data set plugin: facts as class attributes, ``read`` and ``split``.

    ``read`` turns the user's files into `Items`, ``split`` draws queries, database and training set out of them;
    `hashbench.data.loading` does everything else.

    Attributes
    ----------
    protocols : tuple of Protocol
        The first is the default.
    source, licence : str
        Where the data comes from and under which terms.
    needs : str
        What the user must bring; empty where nothing.
    embedded : bool
        Whether the data comes with a package: there is nothing to prepare, and no directory to read.
    files : tuple of str
        Names of the files and folders in the data directory that ``read`` looks at, ``*`` standing for anything;
        where it is empty, all. Prepared data is made anew when one of them changes.
    reads : tuple of str
        Which of `hashbench.data.options.READING` its ``read`` looks at; all others are refused.
    set_sha256 : str
        Checksum of the publisher's set of images and labels that no order of them changes
        (`hashbench.data.prepared.content_order`). Where it is given, the images of each part are prepared in an order
        by content, and data with this checksum is official. Empty where the order of the files counts.
    views, backbone, image_size
        See `Dataset`.
    expected_failures : dict from str to str
        Names of the checks that the plugin fails for a reason, and the reasons; see `hashbench.checks`.
    """

    name: ClassVar[str] = ""
    protocols: ClassVar[tuple[Protocol, ...]]
    source: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    embedded: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    set_sha256: ClassVar[str] = ""
    views: ClassVar[ViewRecipe | None] = None
    backbone: ClassVar[str] = "tf_efficientnet_lite0"
    image_size: ClassVar[int | None] = None
    expected_failures: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the data set after its file, and give it the protocols that papers have besides its."""
        super().__init_subclass__(**kwargs)
        stated = cls.__dict__.get("protocols")
        if isinstance(stated, tuple):  # whatever else it is, a run says so
            more = [NAMED_IN_PAPERS[one.name] for one in stated if getattr(one, "name", None) in NAMED_IN_PAPERS]
            cls.protocols = (*stated, *more)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]

    def read(self, options: LoadOptions) -> Items:
        """Read the user's files.

        Raises
        ------
        InputError
            The data is missing, incomplete or corrupt.
        """
        raise NotImplementedError(f"{type(self).__name__} must define read")

    def split(self, items: Items, protocol: Protocol) -> Split:
        """Draw queries, database and training set as the protocol says.

        Raises
        ------
        InputError
            The data has too few items for the protocol.
        """
        raise NotImplementedError(f"{type(self).__name__} must define split")

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
        """Return true nearest neighbours as positions in the database part, for data without labels."""
        return items.neighbors


def read_items(plugin: HashDataset, options: LoadOptions) -> Items:
    """Return what a plugin reads.

    Raises
    ------
    InputError
        An option is set that the plugin does not read, its code fails, or it returns no items.
    """
    options.refuse_unread(plugin.name, plugin.reads)
    with asking(plugin, "read"):
        items = plugin.read(options)
    return returned(plugin, "read", items, Items)
