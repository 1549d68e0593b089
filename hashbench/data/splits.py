"""How the parts of a data set are drawn, or read from published lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hashbench.data.items import Items
from hashbench.data.protocol import Protocol
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
        A part names rows that the data does not have, names a row twice, or shares queries with another part.
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
        A class has fewer than ``per_class`` items.
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
        A label has fewer than ``per_label`` items left.
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
        There are fewer than ``n_drawn`` items to draw from.
    """
    pool = np.arange(n_items) if among is None else among
    if n_drawn > len(pool):
        raise InputError(f"{n_drawn} items are to be drawn of {len(pool)}")
    return np.sort(np.random.default_rng(seed).permutation(pool)[:n_drawn]).astype(np.int64)


VALIDATION_SEED = 2


def hold_out_queries(split: Split, share: float, labels: np.ndarray | None = None) -> Split:
    """Return a split whose queries are of the training set; neither part has them any more, and no test query is used.

    Parameters
    ----------
    split : Split
    share : float
        How much of the training set becomes queries, rounded down: the first of a permutation of it by
        ``numpy.random.default_rng(2)``. Where items have one class each, it is the share of each class, classes
        ascending.
    labels : ndarray of shape (n,), int64, or (n, n_labels), bool, optional
        Of all items.

    Raises
    ------
    InputError
        ``share`` of the training set is less than one query.
    """
    if labels is None:
        query = draw_any(len(split.train), share_of(len(split.train), share), VALIDATION_SEED, among=split.train)
    else:
        query = draw_share(labels, split.train, share, VALIDATION_SEED, at_least=0)
    if not len(query):
        of_each = "" if labels is None or labels.ndim > 1 else " of any class"
        raise InputError(f"--protocol: validation={share} gives no query{of_each} of {len(split.train)} training items")
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


OWN_DRAW = {"query_percent": 10.0, "queries_at_most": 1000, "training_at_most": 5000}
"""How a user's own images are drawn where they name no parts."""


def own_split(items: Items, protocol: Protocol) -> Split:
    """Return the parts that a user's own images name, or draw the queries; the training set is bounded.

    Parameters
    ----------
    items : Items
        With labels; its parts are query, database and train, or there are none.
    protocol : Protocol
        Its draw has the numbers of `OWN_DRAW`.

    Raises
    ------
    InputError
        No item is relevant to a query, or a number is chosen that has no effect here.
    """
    labels, draw = items.labels, protocol.draw
    assert labels is not None
    if items.parts:
        for name in ("query_percent", "queries_at_most"):
            if draw[name] != OWN_DRAW[name]:
                raise InputError(f"--protocol: {name}={draw[name]} cannot be chosen: the data names its queries")
        query, train = items.parts["query"], items.parts["train"]
        database = np.union1d(items.parts["database"], train)
    else:
        share = min(draw["query_percent"] / 100, draw["queries_at_most"] / len(labels))
        query = draw_share(labels, np.arange(len(labels)), share, 0)
        database = np.setdiff1d(np.arange(len(labels)), query)
        train = database[:0]
    _refuse_lonely_queries(items, query, database)
    pool = train if len(train) else database
    most = int(draw["training_at_most"])
    train = pool if len(pool) <= most else draw_share(labels, pool, most / len(pool), 1)
    return Split(train, query, database)


def share_of(n: int, share: float) -> int:
    """Return a share of a number, rounded down; 0.29 * 100, which is a little less than 29, is 29."""
    return int(share * n + 1e-9)


def draw_share(labels: np.ndarray, pool: np.ndarray, share: float, seed: int, at_least: int = 1) -> np.ndarray:
    """Draw a share of the pool, of every class the same if items have one label each.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64, or (n, n_labels), bool
    pool : ndarray of int64
        The rows that are drawn from.
    share : float
        Rounded down, of each class.
    seed : int
    at_least : int
        Items that are drawn nevertheless, of each class.

    Returns
    -------
    ndarray of int64, ascending
    """
    if labels.ndim == 2:
        return draw_any(len(labels), max(at_least, share_of(len(pool), share)), seed, among=pool)
    rng, drawn = np.random.default_rng(seed), []
    for label in np.unique(labels[pool]):
        members = pool[labels[pool] == label]
        drawn.append(rng.permutation(members)[: max(at_least, share_of(len(members), share))])
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def _refuse_lonely_queries(items: Items, query: np.ndarray, database: np.ndarray) -> None:
    """Raise if the database holds nothing that is relevant to a query."""
    labels = items.labels
    assert labels is not None
    if labels.ndim == 2:
        lonely = ~(labels[query] & labels[database].any(axis=0)).any(axis=1)
    else:
        lonely = ~np.isin(labels[query], labels[database])
    if lonely.any():
        row = int(query[np.argmax(lonely)])
        row_labels = np.flatnonzero(labels[row]).tolist() if labels.ndim == 2 else [int(labels[row])]
        named = f"row {row}" if items.names is None else items.names[row]
        way_out = (
            f"give {' or '.join(repr(items.label_names[label]) for label in row_labels)} more images"
            if row_labels
            else "label it"
        )
        raise InputError(
            f"{lonely.sum()} of {len(query)} queries have no relevant image in the database, {named} the "
            f"first: {way_out}, or remove it"
        )
