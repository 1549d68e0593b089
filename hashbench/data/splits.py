"""How the parts of a data set are drawn, or read from published lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash


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


def refuse_unsound(split: Split, n_items: int, what: str) -> None:
    """Refuse a split whose parts are not rows of the data, name a row twice, or share queries with another part.

    Training rows may be rows of the database.

    Parameters
    ----------
    split : Split
    n_items : int
        How many items the data has.
    what : str
        What is split, for the message.

    Raises
    ------
    InputError
        The split is unsound; the message names the part and the row.
    """
    is_query = _marks(split.query, n_items, f"{what}: the query part")
    for part in ("database", "train"):
        rows = getattr(split, part)
        _marks(rows, n_items, f"{what}: the {part} part")
        shared = rows[is_query[rows]]
        if len(shared):
            where = f"in the {part} part, as row {shared.min()}"
            raise InputError(f"{what}: {len(shared)} queries are {where}; queries must be in no other part")


def _marks(rows: np.ndarray, n_items: int, what: str) -> np.ndarray:
    """Return which of the items a part names, shape (n_items,), bool."""
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iu":
        form = f"{rows.dtype} of shape {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise InputError(f"{what} is {form}, expected row numbers, int64 of shape (n,)")
    if rows.min() < 0 or rows.max() >= n_items:
        odd = rows.min() if rows.min() < 0 else rows.max()
        raise InputError(f"{what} names row {odd} of {n_items}; rows count from 0 to {n_items - 1}")
    marked = np.zeros(n_items, bool)
    marked[rows] = True
    if np.count_nonzero(marked) < len(rows):
        values, counts = np.unique(rows, return_counts=True)
        raise InputError(f"{what} names a row twice, as row {values[np.argmax(counts > 1)]}")
    return marked


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


VALIDATION_SEED = 2


def hold_out_queries(split: Split, share: float) -> Split:
    """Return a split whose queries are of the training set; neither part has them any more, and no test query is used.

    Parameters
    ----------
    split : Split
    share : float
        How much of the training set becomes queries, rounded down: the first of a permutation of it by
        ``numpy.random.default_rng(2)``.

    Raises
    ------
    InputError
        No query would be drawn.
    """
    n_query = int(share * len(split.train))
    if n_query == 0:
        raise InputError(f"--protocol: validation={share} gives no query of {len(split.train)} training items")
    query = draw_any(len(split.train), n_query, VALIDATION_SEED, among=split.train)
    train, database = (part[~np.isin(part, query)] for part in (split.train, split.database))
    return Split(train, query, database)


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
