"""Splits that others have published, as lists of names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.data.readers.match_names import RowsByName, text_lines
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
        What the data calls its items; where it has no names, lists hold row numbers from 0. A line is of the item
        whose name is the longest beginning of it; what follows (labels, in many published lists) is passed over. Which
        ways of writing a name are one, says `hashbench.data.readers.match_names`.
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
        A list is missing, names an item twice or an item that does not exist, or a query is in another part too.
    """
    items = None if names is None else RowsByName([*names, *left_out])
    query = _read_list(folder / LISTS["query"], items, n_items)
    train = _read_list(folder / LISTS["train"], items, n_items)
    if (folder / LISTS["database"]).is_file():
        database = _read_list(folder / LISTS["database"], items, n_items)
    else:
        database = np.setdiff1d(np.arange(n_items), query)
    for part, rows in (("train", train), ("database", database)):
        both = np.intersect1d(rows, query)
        if len(both):
            what = names[both[0]] if names is not None else both[0]
            raise InputError(f"{folder}: {len(both)} items are in {LISTS['query']} and in the {part} part, as {what}")
    split = Split(train, query, database)
    return split, split.checksum


def _read_list(file: Path, items: RowsByName | None, n_items: int) -> np.ndarray:
    """Return the rows that a list names; rows from ``n_items`` on are images that were left out."""
    try:
        lines = list(text_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--splits: {file} cannot be read ({type(error).__name__})") from error
    rows: dict[int, int] = {}
    for number, line in lines:
        row = _row_number(line, n_items) if items is None else items.find(line)
        if row is None:
            raise InputError(f"{file} line {number}: the data has no item {line!r:.100}")
        if row >= n_items:
            continue
        if row in rows:
            raise InputError(f"{file} line {number}: {line!r:.100} is on line {rows[row]} already")
        rows[row] = number
    if not rows:
        raise InputError(f"{file} is empty")
    return np.fromiter(rows, np.int64, len(rows))


def _row_number(line: str, n_items: int) -> int | None:
    word = line.split()[0]
    return int(word) if word.isdecimal() and len(word) < 19 and int(word) < n_items else None
