"""Splits that others have published, as lists of names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.data.splits import Split
from hashbench.errors import InputError

LISTS = {"query": "query.txt", "train": "train.txt", "database": "database.txt"}


def read_lists(
    folder: Path, names: Sequence[str] | None, n_items: int, left_out: Sequence[str] = ()
) -> tuple[Split, str]:
    """Read published splits: ``query.txt``, ``train.txt`` and ``database.txt``, an item a line.

    Parameters
    ----------
    folder : Path
    names : sequence of str or None
        What the data calls its items; where it has no names, lists hold row numbers from 0. Whatever follows
        a name on its line (labels, in many published lists) is passed over. A list may name files by another folder
        than the data does, where the files' own names are all different.
    n_items : int
    left_out : sequence of str
        Names of images that are not among the items since they are broken: lists may name them.

    Returns
    -------
    split : Split
        In the lists' order; without ``database.txt``, the database is every item that is not a query.
    checksum : str
        SHA-256 of the three parts.

    Raises
    ------
    InputError
        A list is missing, names an item twice or one that is not there, or a query is in another part.
    """
    place = None if names is None else _places([*names, *left_out])
    query = _read_list(folder / LISTS["query"], place, n_items)
    train = _read_list(folder / LISTS["train"], place, n_items)
    if (folder / LISTS["database"]).is_file():
        database = _read_list(folder / LISTS["database"], place, n_items)
    else:
        database = np.setdiff1d(np.arange(n_items), query)
    for part, rows in (("train", train), ("database", database)):
        both = np.intersect1d(rows, query)
        if len(both):
            what = names[both[0]] if names is not None else both[0]
            raise InputError(f"{folder}: {len(both)} items are in {LISTS['query']} and in the {part} part, as {what}")
    split = Split(train, query, database)
    return split, split.checksum


def _places(names: Sequence[str]) -> dict[str, int]:
    """Return the rows of items by name, and by the bare names of files where these are all different."""
    by_name = {name: row for row, name in enumerate(names)}
    by_file = {_bare(name): row for row, name in enumerate(names)}
    return {**by_file, **by_name} if len(by_file) == len(by_name) else by_name


def _bare(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _read_list(file: Path, place: dict[str, int] | None, n_items: int) -> np.ndarray:
    """Return the rows that a list names; rows from ``n_items`` on are images that were left out."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--splits: {file} cannot be read ({type(error).__name__})") from error
    rows: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = line.split()[0]
        if place is not None:
            slashed = name.replace("\\", "/")
            row = next((place[key] for key in (name, line.strip(), slashed, _bare(name)) if key in place), -1)
        else:
            row = int(name) if name.isdecimal() and len(name) < 19 and int(name) < n_items else -1
        if row >= n_items:
            continue
        if row < 0:
            raise InputError(f"{file} line {number}: the data has no item {name!r:.100}")
        if row in rows:
            raise InputError(f"{file} line {number}: {name!r} is on line {rows[row]} already")
        rows[row] = number
    if not rows:
        raise InputError(f"{file} is empty")
    return np.fromiter(rows, np.int64, len(rows))
