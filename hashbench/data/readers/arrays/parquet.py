"""Vectors and labels in the columns of parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.readers.arrays.stored_array import (
    Blocks,
    Contents,
    StoredArray,
    readable,
    refuse_too_large,
    rows_of_a_block,
)
from hashbench.data.readers.labels.cells import is_list, parquet_labels
from hashbench.data.readers.labels.find_labels import label_column
from hashbench.data.readers.parts import VALIDATION, part_column, parts_of_column
from hashbench.errors import InputError
from hashbench.progress import to_stderr

VECTOR_COLUMNS = ("vector", "embedding", "emb")
NEIGHBOR_COLUMNS = ("neighbors_id", "neighbors")
"""VectorDBBench's name for a column of true neighbours, and the plain one."""


def open_parquet(path: Path, label: str | None = None) -> Contents:
    """Open a parquet file: its vectors and labels, by part where the file names parts.

    Parameters
    ----------
    path : Path
    label : str, optional
        The column of labels, if it has an unusual name; ``none`` to read no labels.

    Raises
    ------
    InputError
        The file is damaged, or its columns are not those that `hashbench.data.readers.arrays.array_formats` describes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(str(path), "parquet file"), pq.ParquetFile(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        column = _vector_column(schema, path)
        if n_rows == 0:
            raise InputError(f"{path} has no rows")
        kind = schema.field(column).type
        if not is_list(kind):
            raise InputError(f"{path}: the column {column} is {kind}, expected lists of floats")
        value = kind.value_type
        if not (pa.types.is_floating(value) or pa.types.is_integer(value)):
            raise InputError(f"{path}: the column {column} has lists of {value}, expected lists of floats")
        dtype = np.dtype(value.to_pandas_dtype())
        first = next(file.iter_batches(1, columns=[column])).column(0)
        width = len(first[0]) if first[0].is_valid else 0
        refuse_too_large(str(path), (n_rows, width), np.dtype(np.float32))
        by = part_column(schema.names, path)
        label = label_column([name for name in schema.names if name not in (column, by)], str(path), label)
        labels = None if label is None else parquet_labels(file, label, path)
        parts = file.read([by]).column(0).to_pylist() if by else None

    def array_of(rows: np.ndarray, shown_as: str) -> StoredArray:
        return StoredArray(
            shown_as, (len(rows), width), dtype, lambda: _parquet_blocks(path, column, rows, width, dtype, n_rows)
        )

    members = {"vectors": np.arange(n_rows)} if parts is None else by_part(parts, path)
    parts = parts if "vectors" not in members else None
    arrays = {
        name: array_of(rows, str(path) if parts is None else f"{path}: part {name}") for name, rows in members.items()
    }
    labels_of = {} if labels is None else {name: [labels.of(rows)] for name, rows in members.items()}
    others = [name for name in schema.names if name not in (column, label, by)]
    return Contents("parquet", arrays, {}, labels_of, others)


def vector_columns(schema: Any) -> list[str]:
    """Return the columns that can be the vectors: those of a known name, or else those that hold lists of floats.

    Parameters
    ----------
    schema : pyarrow.Schema
    """
    import pyarrow as pa

    return [name for name in VECTOR_COLUMNS if name in schema.names] or [
        field.name for field in schema if is_list(field.type) and pa.types.is_floating(field.type.value_type)
    ]


def _vector_column(schema: Any, path: Path) -> str:
    columns = vector_columns(schema)
    if len(columns) != 1:
        wanted = "vector or embedding, or one column of lists of floats, and optionally label and part"
        raise InputError(f"{path} has the columns {', '.join(schema.names)}; expected {wanted}")
    return columns[0]


def read_ids(path: Path) -> np.ndarray | None:
    """Return the integers of the column ``id``, by which other files refer to rows; None if there is no such column.

    Raises
    ------
    InputError
        The file is damaged, or an id is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(str(path), "parquet file"):
        schema = pq.read_schema(path)
        if "id" not in schema.names or not pa.types.is_integer(schema.field("id").type):
            return None
        column = pq.read_table(path, columns=["id"]).column(0).combine_chunks()
    if column.null_count:
        raise InputError(f"{path}: row {_first(column.is_null())} has no id")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def read_neighbors(path: Path) -> np.ndarray:
    """Return the true neighbours in a parquet file, (n_query, k), as the file names them.

    Raises
    ------
    InputError
        The file is damaged, or has no such column of equally long lists of integers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(str(path), "parquet file"):
        schema = pq.read_schema(path)
        column = next((name for name in NEIGHBOR_COLUMNS if name in schema.names), None)
        kind = None if column is None else schema.field(column).type
        if kind is None or not is_list(kind) or not pa.types.is_integer(kind.value_type):
            raise InputError(
                f"{path} has the columns {', '.join(schema.names)}; expected {' or '.join(NEIGHBOR_COLUMNS)}, lists of "
                "whole numbers"
            )
        lists = pq.read_table(path, columns=[column]).column(0).combine_chunks()
        width = len(lists[0]) if len(lists) and lists[0].is_valid else 0
        return _matrix(lists, width, np.arange(len(lists)), str(path))


def by_part(words: list[Any], path: Path) -> dict[str, np.ndarray]:
    """Return the rows of each part that a column names; if it names only one part, as ``vectors``.

    Rows of a validation part are queries if there are no other queries; otherwise they are left out.

    Raises
    ------
    InputError
        A word in the column does not name a part.
    """
    named = parts_of_column(words, str(path), first=0, more={"learn": "learn"})
    if len(set(named.values())) == 1:
        return {"vectors": np.arange(len(words))}
    held_out = "query" if "query" not in named.values() else ""
    part_of = {word: held_out if part == VALIDATION else part for word, part in named.items()}
    own = np.array([part_of[word] for word in words])
    n_left_out = np.count_nonzero(own == "")
    if n_left_out:
        to_stderr(f"{path}: {n_left_out:,} rows of the part validation are left out; others are the queries")
    return {str(part): np.flatnonzero(own == part) for part in np.unique(own) if part}


def _parquet_blocks(path: Path, column: str, rows: np.ndarray, width: int, dtype: np.dtype, n_rows: int) -> Blocks:
    """Yield lists of a column as matrices, only for the given rows."""
    import pyarrow.parquet as pq

    wanted = np.zeros(n_rows, bool)
    wanted[rows] = True
    start = 0
    with readable(str(path), "parquet file"), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows_of_a_block((n_rows, width), dtype), columns=[column]):
            numbers = np.arange(start, start + len(batch))
            start += len(batch)
            matrix = _matrix(batch.column(0), width, numbers, str(path))
            chosen = wanted[numbers]
            if chosen.any():
                yield numbers[chosen], matrix[chosen] if not chosen.all() else matrix


def _matrix(lists: Any, width: int, rows: np.ndarray, shown_as: str) -> np.ndarray:
    """Return lists of one length as a matrix."""
    import pyarrow as pa

    if lists.null_count:
        raise InputError(f"{shown_as}: row {rows[_first(lists.is_null())]} is empty")
    if not pa.types.is_fixed_size_list(lists.type):
        lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise InputError(f"{shown_as}: row {rows[row]} has {lengths[row]} values, row 0 has {width}")
    values = lists.flatten()
    if values.null_count:
        raise InputError(f"{shown_as}: row {rows[_first(values.is_null()) // width]} holds an empty value")
    return values.to_numpy(zero_copy_only=False).reshape(len(lists), width)


def _first(flags: Any) -> int:
    return int(np.argmax(flags.to_numpy(zero_copy_only=False)))
