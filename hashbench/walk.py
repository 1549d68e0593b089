"""Goes through a folder, also along links, without going round in circles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(
    folder: str | os.PathLike[str],
    unreadable: Callable[[str, OSError], object],
    enter: Callable[[str, os.DirEntry[str]], bool] = lambda name, entry: True,
    above: frozenset[tuple[int, int]] = frozenset(),
    prefix: str = "",
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is in a folder at any depth and is no folder; hidden names are passed over, links followed.

    Parameters
    ----------
    folder : path-like
    unreadable : callable
        Told of folders that cannot be read, which are passed over unless it raises.
    enter : callable
        ``enter(name, entry)`` says whether a file or folder counts at all.
    above : frozenset of (int, int)
        Devices and inodes of the folders above, which no link leads back to.
    prefix : str
        What relative names begin with.

    Yields
    ------
    name : str
        Relative to the folder, with forward slashes.
    entry : os.DirEntry
    """
    try:
        status = Path(folder).stat()
        here = (status.st_dev, status.st_ino)
        with os.scandir(folder) as entries:
            found = [] if here in above else [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        unreadable(os.fspath(folder), error)
        return
    for entry in found:
        name = prefix + entry.name
        if not enter(name, entry):
            continue
        if entry.is_dir():
            yield from walk(entry.path, unreadable, enter, above | {here}, f"{name}/")
        else:
            yield name, entry
