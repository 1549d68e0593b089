"""How the parts of a data set are drawn, or read from published lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.errors import InputError
from hashbench.protocol import canonical_hash

LISTS = {"query": "query.txt", "train": "train.txt", "database": "database.txt"}


@dataclass(frozen=True)
class Split:
    """Row indices of the three parts, int64 arrays into the data."""

    train: np.ndarray
    query: np.ndarray
    database: np.ndarray

    @property
    def checksum(self) -> str:
        """SHA-256 of the three parts."""
        return canonical_hash([part.tolist() for part in (self.train, self.query, self.database)])


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

    Raises
    ------
    InputError
        A class has fewer items.
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


def draw_per_label(labels: np.ndarray, per_label: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
    """Draw ``per_label`` items for each label of a multi-label data set, sorted by index.

    Labels go in the order of the columns; each takes the first ``per_label`` entries of a permutation, by one
    `numpy.random.default_rng` generator, of its items that no earlier label has taken.

    Parameters
    ----------
    labels : ndarray of shape (n, n_labels), bool
    per_label : int
    seed : int
    among : ndarray of int64, optional
        Indices to draw from; all by default.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    InputError
        A label has fewer items left.
    """
    rng = np.random.default_rng(seed)
    free = np.zeros(len(labels), bool)
    free[slice(None) if among is None else among] = True
    drawn = []
    for label in range(labels.shape[1]):
        members = np.flatnonzero(labels[:, label] & free)
        if len(members) < per_label:
            raise InputError(f"label {label} has {len(members)} items that are not taken, {per_label} are to be drawn")
        drawn.append(rng.permutation(members)[:per_label])
        free[drawn[-1]] = False
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def draw_any(n_items: int, n_drawn: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
    """Draw items whatever their labels, sorted by index: the first of a `numpy.random.default_rng` permutation.

    Raises
    ------
    InputError
        There are fewer.
    """
    pool = np.arange(n_items) if among is None else among
    if n_drawn > len(pool):
        raise InputError(f"{n_drawn} items are to be drawn of {len(pool)}")
    return np.sort(np.random.default_rng(seed).permutation(pool)[:n_drawn]).astype(np.int64)


def official_split(labels: np.ndarray, parts: Mapping[str, np.ndarray], per_class: int) -> Split:
    """Take a publisher's test part as queries and its train part as database, and draw the training set from that.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    parts : dict from str to ndarray of int64
        Rows of the parts ``train`` and ``test``.
    per_class : int
        Training items of each class, drawn by `draw_per_class` with seed 0.
    """
    return Split(draw_per_class(labels, per_class, 0, among=parts["train"]), parts["test"], parts["train"])


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
        lines = file.read_text().splitlines()
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
