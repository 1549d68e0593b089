"""Reads the codes of queries and database, and what is relevant, from wherever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.codes.bits import Codes, as_codes
from hashbench.codes.labels import Given, label_source, read_labels
from hashbench.codes.names import CODES, DATABASE, LABELS, QUERY
from hashbench.codes.sources import Found, Source, find, search
from hashbench.errors import InputError

OPTIONS = {
    (QUERY, CODES): "--query-codes",
    (DATABASE, CODES): "--database-codes",
    (QUERY, LABELS): "--query-labels",
    (DATABASE, LABELS): "--database-labels",
}


@dataclass(frozen=True)
class CodeSet:
    """Codes of queries and of a database, and what is relevant to each query.

    Attributes
    ----------
    query_codes, database_codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
        Packed, zeros after the last bit.
    n_bits : int
    query_labels, database_labels : ndarray, optional
        int64 classes of shape (n,), or bool of shape (n, n_labels).
    label_names : list of str
    neighbors : ndarray of shape (n_queries, k), int64, optional
    read_as : str
        What was read from where, in one line.
    notes : list of str
        What was decided where that is not plain, a line each.
    """

    query_codes: np.ndarray
    database_codes: np.ndarray
    n_bits: int
    query_labels: np.ndarray | None = None
    database_labels: np.ndarray | None = None
    label_names: list[str] = field(default_factory=list)
    neighbors: np.ndarray | None = None
    read_as: str = ""
    notes: list[str] = field(default_factory=list)


def read_codes(source: Source, n_bits: int | None = None, shown_as: str = "codes") -> Codes:
    """Read the codes of one part.

    Parameters
    ----------
    source : path-like, ndarray, tensor or DataFrame
        A file, or ``FILE:NAME`` for one of several arrays in it; a row is an item.
    n_bits : int, optional
        The code length; needed for packed codes whose length is no multiple of 8.
    shown_as : str
        What a message calls an array that is in no file.

    Returns
    -------
    Codes
        ``packed`` of shape (n, ceil(n_bits / 8)), ``n_bits`` and ``notes``.

    Raises
    ------
    InputError
        The source is missing or damaged, several arrays could be meant, or its values are no bits.

    Examples
    --------
    >>> import numpy as np
    >>> codes = read_codes(np.array([[1, -1, -1], [-1, -1, 1]]))
    >>> codes.packed.tolist(), codes.n_bits, codes.form
    ([[128], [32]], 3, '-1 and 1')
    """
    found = find(source, shown_as, None, CODES)
    return as_codes(found.read(), found.stored.shown_as, n_bits)


def read_code_set(
    places: Sequence[Path] = (),
    given: Mapping[tuple[str, str], Source] | None = None,
    neighbors: Source = None,
    n_bits: int | None = None,
    with_labels: bool = True,
) -> CodeSet:
    """Read codes of queries and database, and their labels or neighbours.

    Parameters
    ----------
    places : sequence of Path
        Files or folders, of which the names of files and arrays say what they hold.
    given : dict from (part, kind) to source
        Sources that are named, for the keys of `OPTIONS`; they come before what the places hold.
    neighbors : source, optional
        Database rows of each query's true neighbours, the nearest first, in place of labels.
    n_bits : int, optional
        The code length; needed for packed codes whose length is no multiple of 8.
    with_labels : bool
        Whether labels are read and needed where no neighbours are given.

    Raises
    ------
    InputError
        Something is missing, unreadable or does not fit together; the line says what to do.
    """
    wanted = {key: source for key, source in (given or {}).items() if source is not None}
    needs_labels = with_labels and neighbors is None
    codes: dict[str, Found] = {}
    labels: dict[str, Given] = {}
    for (part, kind), source in wanted.items():
        if kind == CODES:
            codes[part] = find(source, OPTIONS[part, kind], part, kind)
        elif needs_labels:
            labels[part] = label_source(source, OPTIONS[part, kind], part)
    if places:
        for (part, kind), found in search(places, [(part, CODES) for part in codes]).items():
            if kind == CODES:
                codes.setdefault(part, found)
            elif needs_labels and part not in labels:
                labels[part] = label_source(found.place, OPTIONS[part, kind], part)
    for part in (QUERY, DATABASE):
        if part not in codes:
            raise InputError(f"there are no {part} codes: give {OPTIONS[part, CODES]}, or a file or folder with both")
        if needs_labels and part not in labels:
            raise InputError(
                f"there are no {part} labels: give {OPTIONS[part, LABELS]}, or --neighbors, the true neighbours"
            )
    arrays = _facing_one_way(codes[QUERY], codes[DATABASE], n_bits, _lengths(labels.get(QUERY)))
    query, database = _packed(codes, arrays, n_bits)
    notes = [*arrays.notes, *query.notes, *database.notes]
    said = (
        f"{len(query.packed):,} query codes from {codes[QUERY].shown_as}, {len(database.packed):,} database codes from "
        f"{codes[DATABASE].shown_as}, {query.n_bits} bits, {query.form}"
    )
    of_queries = of_items = near = None
    names: list[str] = []
    if needs_labels:
        read = read_labels(labels[QUERY], labels[DATABASE], len(query.packed), len(database.packed))
        of_queries, of_items = read.array[: len(query.packed)], read.array[len(query.packed) :]
        names = read.names
        notes += read.notes
        what = "classes" if of_queries.ndim == 1 else "labels, of which items have several or none"
        said += f"; labels from {_shown(labels[QUERY])} and {_shown(labels[DATABASE])}: {len(names):,} {what}"
    elif neighbors is not None:
        near = _neighbors(neighbors, len(query.packed), len(database.packed))
        said += f"; {near.shape[1]:,} true neighbours of each query"
    return CodeSet(query.packed, database.packed, query.n_bits, of_queries, of_items, names, near, said, notes)


def _shown(given: Given) -> str:
    return given.shown_as if isinstance(given, Found) else given.shown_as.rpartition("/")[2]


@dataclass(frozen=True)
class _Pair:
    query: np.ndarray
    database: np.ndarray
    notes: list[str]


def _lengths(labels: Given | None) -> set[int]:
    """Return how many items labels can be of."""
    if labels is None:
        return set()
    return set(labels.stored.shape) if isinstance(labels, Found) else {len(labels.cells)}


def _facing_one_way(query: Found, database: Found, n_bits: int | None, lengths: set[int]) -> _Pair:
    """Return both arrays with items as rows; items may be columns in MATLAB's files alone."""
    shapes = query.stored.shape, database.stored.shape
    for found in (query, database):
        if len(found.stored.shape) != 2:
            raise InputError(
                f"{found.stored.shown_as} has shape {found.stored.shape}, expected a matrix of codes, a row for each "
                "item"
            )
    if shapes[0][1] == shapes[1][1] and not _says_columns(shapes, n_bits, lengths):
        return _Pair(query.read(), database.read(), [])
    if shapes[0][0] == shapes[1][0]:
        if query.is_matlab and database.is_matlab:
            note = f"items are the columns of {query.shown_as} and {database.shown_as}, which are transposed"
            return _Pair(query.read().T, database.read().T, [note])
        raise InputError(
            f"{query.stored.shown_as} has shape {shapes[0]} and {database.stored.shown_as} {shapes[1]}: they look "
            "transposed, items as columns; save codes.T, a row for each item"
        )
    for found, other in ((query, database), (database, query)):
        if found.stored.shape[0] == other.stored.shape[1]:
            if found.is_matlab:
                note = f"items are the columns of {found.shown_as}, which is transposed"
                turned = [one.read().T if one is found else one.read() for one in (query, database)]
                return _Pair(turned[0], turned[1], [note])
            raise InputError(
                f"{found.stored.shown_as} has shape {found.stored.shape}, {other.stored.shown_as} "
                f"{other.stored.shape}: the first looks transposed; save codes.T, a row for each item"
            )
    raise InputError(
        f"{query.stored.shown_as} has shape {shapes[0]}, {database.stored.shown_as} {shapes[1]}: expected codes of one "
        "width, a row for each item"
    )


def _says_columns(shapes: tuple[tuple[int, ...], ...], n_bits: int | None, lengths: set[int]) -> bool:
    """Return whether, of two matrices of one shape, the code length or the labels say that items are columns."""
    if shapes[0] != shapes[1] or shapes[0][0] == shapes[0][1]:
        return False
    return n_bits == shapes[0][0] or (shapes[0][1] in lengths and shapes[0][0] not in lengths)


def _packed(found: Mapping[str, Found], arrays: _Pair, n_bits: int | None) -> tuple[Codes, Codes]:
    """Return the codes of both parts, of one length and packed in one order."""
    shown = found[QUERY].stored.shown_as, found[DATABASE].stored.shown_as
    query, database = as_codes(arrays.query, shown[0], n_bits), as_codes(arrays.database, shown[1], n_bits)
    if query.lowest_first != database.lowest_first:
        query, database = (
            as_codes(array, name, n_bits, lowest_first=True)
            for array, name in ((arrays.query, shown[0]), (arrays.database, shown[1]))
        )
    if query.n_bits != database.n_bits:
        raise InputError(
            f"{shown[0]} is read as {query.n_bits} bits ({query.form}), {shown[1]} as {database.n_bits} "
            f"({database.form}): give both in one form"
        )
    return query, database


def _neighbors(source: Source, n_query: int, n_database: int) -> np.ndarray:
    """Return database rows, (n_query, k) int64."""
    found = find(source, "--neighbors", None, "neighbors")
    array, shown_as = found.read(), found.stored.shown_as
    if array.ndim != 2 or len(array) != n_query or array.shape[1] == 0:
        raise InputError(f"{shown_as} has shape {array.shape}, expected ({n_query}, k): a row of neighbours per query")
    if array.dtype.kind not in "iuf" or not (array == np.floor(array)).all():
        raise InputError(f"{shown_as} holds {array.dtype}, expected whole numbers: rows of the database from 0")
    outside = (array < 0) | (array >= n_database)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        odd = int(array[row][outside[row]][0])
        hint = "; it seems to count from 1: subtract 1" if odd == n_database and array.min() > 0 else ""
        raise InputError(f"{shown_as}: row {row} names {odd}, the database has rows 0 to {n_database - 1}{hint}")
    ordered = np.sort(array, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise InputError(f"{shown_as}: row {np.argmax(twice)} names a neighbour twice")
    return array.astype(np.int64)
