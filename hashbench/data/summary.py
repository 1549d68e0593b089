"""Summary of what was read, in a few lines: how much, from where, what was left out, and what is equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashbench.data.items import Items
from hashbench.data.splits import Split
from hashbench.files.paths import printable

MOST_NOTES = 6
"""Notes on what was passed over that are shown; of more, their number."""
LONGEST = 120
"""Characters of a name that is shown."""


def what_was_read(
    name: str, items: Items, split: Split, equal: np.ndarray, unseen: np.ndarray | None = None
) -> tuple[str, ...]:
    """Return what a data set's items, parts and classes are, a line each for what is there and what is odd about it.

    Parameters
    ----------
    name : str
        The data set's.
    items : Items
    split : Split
    equal : ndarray of shape (m, 2), int64
        From `hashbench.data.prepared.equal_items.equal_items`.
    unseen : ndarray of int64, optional
        Classes that training does not see.

    Returns
    -------
    tuple of str
        One line, or two where something was left out or is there twice, or classes are unseen.
    """
    read_as = f"; {items.read_as}" if items.read_as else ""
    first = f"{name}: {len(items):,} items{_classes(items)}: {_parts(split)}{read_as}"
    notes = [*items.notes, *_unseen(items, unseen), *_left_out(items, split), *_equal(items, split, equal)]
    return tuple(printable(line, 2000) for line in [first, *([f"{name}: {'; '.join(notes)}"] if notes else [])])


def _classes(items: Items) -> str:
    """Return how many classes or labels there are, with the smallest and the largest."""
    labels = items.labels
    if labels is None:
        return " without labels" if items.features is None else f" of {items.features.shape[1]} values, without labels"
    if labels.ndim == 2:
        counts = labels.sum(axis=0)
        values, kind = np.arange(labels.shape[1]), "labels"
    else:
        values, counts = np.unique(labels, return_counts=True)
        kind = "classes"
    least, most = int(np.argmin(counts)), int(np.argmax(counts))
    few, many = (f"{_label(items, int(values[one]))} with {counts[one]:,}" for one in (least, most))
    return f" of {len(values):,} {kind} (smallest: {few}, largest: {many})"


def _label(items: Items, label: int) -> str:
    names = items.label_names
    return printable(str(names[label]), LONGEST) if 0 <= label < len(names) else str(label)


def _unseen(items: Items, unseen: np.ndarray | None) -> list[str]:
    if unseen is None:
        return []
    return [f"classes that training does not see: {', '.join(_label(items, int(label)) for label in unseen)}"]


def _parts(split: Split) -> str:
    n_inside = int(np.isin(split.train, split.database).sum())
    training = f"{len(split.train):,} for training"
    if n_inside < len(split.train):
        training += f", {n_inside:,} of them in the database" if n_inside else ", not in the database"
    elif n_inside == len(split.database):
        training = "all of it for training"
    else:
        training += ", from the database"
    return f"{len(split.query):,} queries, {len(split.database):,} in the database, {training}"


def _left_out(items: Items, split: Split) -> list[str]:
    notes = list(items.passed_over)
    if items.left_out:
        notes.append(f"{len(items.left_out):,} missing or broken images")
    used = np.zeros(len(items), bool)
    for rows in (split.query, split.database, split.train):
        used[rows] = True
    if not used.all():
        notes.append(f"{np.count_nonzero(~used):,} items that are in no part")
    more = [f"{len(notes) - MOST_NOTES:,} more notes"] if len(notes) > MOST_NOTES else []
    return [f"left out: {'; '.join([*notes[:MOST_NOTES], *more])}"] if notes else []


def _equal(items: Items, split: Split, equal: np.ndarray) -> list[str]:
    """Return how many items equal another one, and how many queries one of the database, with the first of each."""
    if not len(equal):
        return []
    row, first = equal.T
    labels = items.labels
    other = np.zeros(len(row), bool)
    if labels is not None:
        differ = labels[row] != labels[first]
        other = differ.any(axis=1) if differ.ndim == 2 else differ
    at = int(np.argmax(other))
    unlike = f", {np.count_nonzero(other):,} of them of another class" if other.any() else ""
    notes = [f"{len(row):,} items equal another one{unlike} ({_pair(items, row[at], first[at])} the first)"]
    return [*notes, *_queries_in_database(items, split, equal)]


def _queries_in_database(items: Items, split: Split, equal: np.ndarray) -> list[str]:
    same_as = np.arange(len(items))
    same_as[equal[:, 0]] = equal[:, 1]
    there = np.full(len(items), -1)
    there[same_as[split.database[::-1]]] = split.database[::-1]
    found = there[same_as[split.query]]
    inside = found >= 0
    if not inside.any():
        return []
    at = int(np.argmax(inside))
    pair = _pair(items, split.query[at], found[at])
    return [f"{np.count_nonzero(inside):,} of {len(inside):,} queries equal an item of the database ({pair} the first)"]


def _pair(items: Items, row: int, other: int) -> str:
    names: Sequence[object] | None = items.names
    one, two = (f"row {at}" if names is None else printable(str(names[at]), LONGEST) for at in (row, other))
    return f"{one} = {two}"
