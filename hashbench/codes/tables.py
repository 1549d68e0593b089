"""Codes and labels in parquet files and in text: columns, or a matrix of one value a column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.codes.names import LABELS, role_of
from hashbench.data.readers.arrays.stored_array import StoredArray, refuse_too_large, sliced
from hashbench.data.readers.arrays.text_files import open_table, open_words
from hashbench.data.readers.labels.cells import is_list
from hashbench.errors import InputError

_BITS = re.compile(rb"[01]{2,}\s*")
"""A line of bits without anything between them."""
MATRIX_COLUMNS = 8
"""Columns of numbers from which a table without lists is a matrix of codes."""


def open_parquet(path: Path) -> dict[str, StoredArray]:
    """Return the columns of a parquet file: lists of one length as matrices, and numbers and texts as they are.

    Where no column holds lists and eight or more hold numbers, these are one matrix, under the name ``""``.

    Raises
    ------
    InputError
        The file is damaged, or too large for the memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_bytes, batches = 0, []
    with pq.ParquetFile(path) as file:  # what it says of its columns is not asked for: damaged, it ends the process
        refuse_too_large(str(path), (file.metadata.num_rows, len(file.schema_arrow)), np.dtype(np.float32))
        for batch in file.iter_batches():
            n_bytes += batch.nbytes
            refuse_too_large(str(path), (n_bytes,), np.dtype(np.uint8))
            batches.append(batch)
        table = pa.Table.from_batches(batches, file.schema_arrow)
    if table.num_rows == 0:
        raise InputError(f"{path} has no rows")
    arrays: dict[str, StoredArray] = {}
    wide: dict[str, np.ndarray] = {}
    for name in table.column_names:
        kind, column = table.schema.field(name).type, table[name].combine_chunks()
        if is_list(kind):
            values = _matrix(column)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            values = wide[name] = column.to_numpy(zero_copy_only=False)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            values = column.to_numpy(zero_copy_only=False).astype(str)
        else:
            values = None
        if values is not None:
            arrays[name] = sliced(f"{path}: {name}", values)
    if not any(len(stored.shape) == 2 for stored in arrays.values()) and len(wide) >= MATRIX_COLUMNS:
        rest = {name: values for name, values in wide.items() if role_of(name).kind == LABELS}
        matrix = np.stack([values for name, values in wide.items() if name not in rest], axis=1)
        return {"": sliced(str(path), matrix), **{name: arrays[name] for name in rest}}
    return arrays


def _matrix(lists: Any) -> np.ndarray | None:
    """Return lists of one length as a matrix; None where their lengths differ or a value is missing."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(lists)
    values = lists.flatten()
    if lists.null_count or values.null_count or len(pc.unique(lengths)) != 1:
        return None
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(lists), -1)


def open_text(path: Path) -> dict[str, StoredArray]:
    """Return the matrix of numbers in a text, whose lines may also be bits without spaces, such as ``0110``.

    Raises
    ------
    InputError
        The text is no matrix of numbers.
    """
    with path.open("rb") as stream:
        first = stream.readline(2**20)
    if _BITS.fullmatch(first):
        return {"": sliced(str(path), _lines_of_bits(path, len(first.strip())))}
    contents = open_words(path) if path.suffix.lower() == ".txt" and b"," not in first else open_table(path)
    return {"" if name == "vectors" else name: stored for name, stored in contents.arrays.items()}


def _lines_of_bits(path: Path, width: int) -> np.ndarray:
    numbered = enumerate(map(bytes.strip, path.read_bytes().splitlines()), 1)
    lines = {number: line for number, line in numbered if line}
    for number, line in lines.items():
        if len(line) != width or line.strip(b"01"):
            raise InputError(f"{path} line {number} is not {width} characters 0 and 1, as the first line is")
    return (np.frombuffer(b"".join(lines.values()), np.uint8) == ord("1")).reshape(len(lines), width)
