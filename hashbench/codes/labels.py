"""Labels of any form, read by the rules that hold for all labels (docs/labels.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.codes.damaged import readable
from hashbench.codes.files import TEXTS
from hashbench.codes.label_lists import read_label_list
from hashbench.codes.names import LABELS
from hashbench.codes.sources import Found, Source, argument, divided, find, is_path
from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels, refuse_shape
from hashbench.data.readers.labels.find_labels import label_column
from hashbench.data.readers.labels.reading import Labels
from hashbench.data.readers.labels.reading import read_labels as read_columns
from hashbench.errors import InputError

Given = LabelColumn | Found
"""The labels of one part: a column that is read already, or an array."""


def label_source(source: Source, option: str, part: str | None) -> Given:
    """Return what a source of labels holds.

    Parameters
    ----------
    source : path-like, array, tensor, Series, or list
        A list may hold classes, names, or lists of them.
    option : str
        What a message calls the source, such as ``--query-labels``.
    part : str or None
        ``query`` or ``database``.

    Raises
    ------
    InputError
        The file is missing or unreadable, or several arrays could be meant.
    """
    if is_path(source):
        file, name = divided(source)
        if file.suffix.lower() in TEXTS and file.is_file():
            return read_label_list(file, name)
        if file.suffix.lower() == ".parquet" and file.is_file():
            return _parquet_column(file, name)
    elif isinstance(source, list | tuple) or (hasattr(source, "to_numpy") and source.to_numpy().dtype == object):
        cells = list(source.to_numpy().ravel()) if hasattr(source, "to_numpy") else list(source)
        shown_as = argument(option)
        return LabelColumn(cells, shown_as, lambda row: f"{shown_as}: row {row}")
    return find(source, option, part, LABELS)


def read_labels(query: Given, database: Given, n_query: int, n_database: int) -> Labels:
    """Return the labels of both parts by one numbering, the queries' first.

    Parameters
    ----------
    query, database : LabelColumn or Found
        From `label_source`, or found by name.
    n_query, n_database : int
        How many codes there are.

    Returns
    -------
    Labels
        Its array has ``n_query + n_database`` rows: int64 classes, or bool of shape (n, n_labels).

    Raises
    ------
    InputError
        The numbers of labels and codes differ, no database item shares a label with a query, or
        `hashbench.data.readers.labels.reading.read_labels` refuses the labels.
    """
    notes: list[str] = []
    columns = [_column(query, n_query, "query", notes), _column(database, n_database, "database", notes)]
    labels = read_columns(columns)
    of_queries, of_items = labels.array[:n_query], labels.array[n_query:]
    in_use = of_items.any(axis=0)
    shared = np.isin(of_queries, of_items) if of_queries.ndim == 1 else of_queries[:, in_use].any(axis=1)
    if not shared.any():
        raise InputError(
            f"{columns[0].shown_as} and {columns[1].shown_as}: no database item shares a label with a query: are they "
            "of one data set, with classes numbered alike?"
        )
    return replace(labels, notes=[*notes, *labels.notes])


def _column(given: Given, n: int, part: str, notes: list[str]) -> LabelColumn:
    column = given if isinstance(given, LabelColumn) else _of_array(given, n, notes)
    if len(column.cells) != n:
        shape = np.shape(column.cells) if isinstance(column.cells, np.ndarray) else (len(column.cells),)
        turned = len(shape) == 2 and shape[1] == n
        hint = f"; it looks transposed: save labels.T, of shape {shape[::-1]}" if turned else ""
        raise InputError(f"{column.shown_as} has {len(column.cells):,} labels, there are {n:,} {part} codes{hint}")
    return column


def _of_array(found: Found, n: int, notes: list[str]) -> LabelColumn:
    """Return an array of classes, or a matrix of marks; -1 for 0, as HashNet's script leaves it, becomes 0."""
    refuse_shape(found.stored.dtype, found.stored.shape, found.stored.shown_as)
    cells = found.read()
    if cells.ndim == 2 and ((found.is_matlab and len(cells) != n == cells.shape[1]) or cells.shape == (1, n)):
        cells = cells.T
    if cells.ndim == 2 and 1 in cells.shape[1:]:
        cells = cells[:, 0]
    if cells.ndim == 2 and cells.dtype.kind in "if" and (cells == -1).any() and np.isin(cells, (-1, 0, 1)).all():
        notes.append(f"{found.shown_as}: -1 is read as 0, no such label")
        cells = cells == 1
    shown_as = found.stored.shown_as
    return LabelColumn(np.asarray(cells), shown_as, lambda row: f"{shown_as}: row {row}")


def _parquet_column(file: Path, name: str) -> Any:
    import pyarrow.parquet as pq

    with readable(str(file)), pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        chosen = name or (names[0] if len(names) == 1 else label_column(names, str(file)))
        if chosen is None or chosen not in names:
            raise InputError(f"{file} has the columns {', '.join(names)}: name that of the labels, {file}:COLUMN")
        return parquet_labels(parquet, chosen, file)
