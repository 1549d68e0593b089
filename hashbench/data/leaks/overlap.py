"""Items that are in several parts of a split: queries in the database, training inside or outside of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hashbench.data.leaks.finding import Finding

Shown = Callable[[str, int], str]
"""What a line calls the item at a position of a part."""
TITLES = {"query": "the queries", "train": "the training set", "database": "the database"}


def overlaps(
    ids: Mapping[str, np.ndarray], by: str, shown: Shown | None = None, known: Mapping[str, np.ndarray] | None = None
) -> list[Finding]:
    """Return which queries are in other parts, and what is in a part twice.

    Parameters
    ----------
    ids : mapping from {"query", "train", "database"} to ndarray of shape (n,), int64
        A number for each item of a part; equal numbers are the same item, negative ones are of unknown items. Row
        numbers, `hashbench.data.leaks.paths.path_ids` and `hashbench.data.leaks.content.content_ids` are such numbers.
    by : str
        By what items are compared, such as ``path``.
    shown : callable, optional
        ``shown(part, position)`` names an item; positions by default.
    known : mapping, optional
        Numbers by which items were compared before: what they have found already does not count.

    Returns
    -------
    list of Finding

    Examples
    --------
    >>> for finding in overlaps({"query": np.array([0, 5]), "database": np.array([5, 7, 7])}, "row"):
    ...     print(finding)
    problem: 1 of 2 queries is in the database, by row (query 1 = database 0)
    problem: 1 of 3 items of the database is there again, by row (database 2 = database 1)
    """
    shown = shown or (lambda part, at: f"{part} {at}")
    findings = []
    for part in ("database", "train"):
        if part in ids and "query" in ids:
            found = _is_in(ids["query"], ids[part])
            if known is not None:
                found &= ~_is_in(known["query"], known[part])
            at = int(np.argmax(found))
            pair = (at, int(np.argmax(ids[part] == ids["query"][at])))
            findings += _found(found, "queries", f"in {TITLES[part]}", by, ("query", part), pair, shown)
    for part, numbers in ids.items():
        first = _first_equal(numbers)
        found = (first != np.arange(len(numbers))) & (numbers >= 0)
        if known is not None:
            found &= _first_equal(known[part]) == np.arange(len(numbers))
        at = int(np.argmax(found))
        what = f"items of {TITLES[part]}"
        findings += _found(found, what, "there again", by, (part, part), (at, int(first[at])), shown)
    return findings


def where_training_lies(
    train: np.ndarray, database: np.ndarray, by: str, known: tuple[np.ndarray, np.ndarray] | None = None
) -> list[Finding]:
    """Return how much of the training set is in the database: two protocols of one name often differ in it.

    Parameters
    ----------
    train, database : ndarray of shape (n,), int64
        As in `overlaps`.
    by : str
    known : tuple of ndarray, optional
        The two by which they were compared before: nothing is said where these give the same.
    """
    inside, n, size = np.count_nonzero(_is_in(train, database)), len(train), len(database)
    if known is not None and inside == np.count_nonzero(_is_in(*known)):
        return []
    if inside == n == size:
        return [Finding(f"the training set is the whole database, by {by}: {n:,} items")]
    if inside == n:
        sizes = f"all {n:,} of it are among the database's {size:,}, {size - n:,} without them"
        return [Finding(f"the training set is inside the database, by {by}: {sizes}")]
    if inside:
        return [Finding(f"{inside:,} of {n:,} training items are in the database, by {by}, and {n - inside:,} are not")]
    sizes = f"{size:,} items without it, {size + n:,} where others keep it inside"
    return [Finding(f"the training set is outside the database, by {by}: {sizes}")]


def _is_in(ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (ids >= 0) & np.isin(ids, others)


def _first_equal(ids: np.ndarray) -> np.ndarray:
    """Return the position of the first item with the same number."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return first[inverse]


def _found(
    found: np.ndarray, what: str, where: str, by: str, parts: tuple[str, str], pair: tuple[int, int], shown: Shown
) -> list[Finding]:
    n = np.count_nonzero(found)
    if not n:
        return []
    example = " = ".join(shown(part, at) for part, at in zip(parts, pair, strict=True))
    text = f"{n:,} of {len(found):,} {what} {'is' if n == 1 else 'are'} {where}, by {by} ({example})"
    return [Finding(text, is_problem=True)]
