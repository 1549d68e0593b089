"""Labels as they are in a file, before they are interpreted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.readers.labels.texts import struct
from hashbench.errors import InputError

EXPECTED = "expected whole numbers or texts, or lists of them"


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one file, array or column: one cell per item.

    Attributes
    ----------
    cells : sequence, or ndarray of shape (n,) or (n, n_labels)
        A number, a text, or a list of them; None where it is empty.
    shown_as : str
        Name of the whole in messages.
    row_shown_as : callable
        Name of the cell of a row in messages.
    class_names : sequence of str
        Names of the numbers, if the file gives them.
    are_names : bool
        Whether a text is the name of a class whatever is in it, as a folder's is, and never a list of labels.
    """

    cells: Sequence[Any] | np.ndarray
    shown_as: str
    row_shown_as: Callable[[int], str]
    class_names: Sequence[str] = ()
    are_names: bool = False

    def of(self, rows: np.ndarray) -> LabelColumn:
        """Return the cells of some rows; a message still calls them by their rows in the whole."""
        cells = self.cells[rows] if isinstance(self.cells, np.ndarray) else [self.cells[row] for row in rows.tolist()]
        return replace(self, cells=cells, row_shown_as=lambda row: self.row_shown_as(int(rows[row])))


def is_list(kind: Any) -> bool:
    """Return whether a column's arrow type is that of lists."""
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def cells_of(column: Any) -> list[Any] | np.ndarray:
    """Return the cells of a column of an arrow table: an array where it holds numbers, else a list.

    Categories become their values, and lists that are marks, 0 or 1 for each label, a matrix.
    """
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # too long for a single chunk
        return array.to_pylist()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_number(array.type) and not array.null_count:
        return array.to_numpy(zero_copy_only=False)
    if is_list(array.type) and _is_number(array.type.value_type) and not array.null_count:
        marks = _marks(array)
        return array.to_pylist() if marks is None else marks
    return array.to_pylist()


def parquet_labels(
    parquet: Any, column: str, file: Path, row_shown_as: Callable[[int], str] | None = None
) -> LabelColumn:
    """Return a column of an open parquet file.

    Parameters
    ----------
    parquet : pyarrow.parquet.ParquetFile
    column : str
        There is one of this name.
    file : Path
    row_shown_as : callable, optional
        What a message calls a row; by default by the file, its number from 0, and the column.

    Raises
    ------
    InputError
        The column's type cannot hold labels: objects with several fields, images, times.
    """
    schema = parquet.schema_arrow
    shown_as = f"{file}: the column {column}"
    _refuse_type(schema.field(column).type, shown_as)
    cells = cells_of(parquet.read([column])[column])
    return LabelColumn(
        cells, shown_as, row_shown_as or (lambda row: f"{file}: row {row} of {column}"), class_names(schema, column)
    )


def _refuse_type(kind: Any, shown_as: str) -> None:
    import pyarrow as pa

    types = pa.types
    value = kind.value_type if types.is_dictionary(kind) or is_list(kind) else kind
    if types.is_struct(value):
        fields = struct([value.field(number).name for number in range(value.num_fields)])
        raise InputError(f"{shown_as} {fields}; or name another with --label-column")
    usable = _is_number(value) or types.is_string(value) or types.is_large_string(value) or types.is_null(value)
    if not usable:
        raise InputError(f"{shown_as} is {kind}, {EXPECTED}; name another with --label-column")


def refuse_shape(dtype: np.dtype, shape: tuple[int, ...], shown_as: str) -> None:
    """Raise unless an array can be one of labels.

    Raises
    ------
    InputError
        The array is empty, does not have one or two axes, or holds neither numbers nor texts.
    """
    if dtype.kind not in "iufbUSO" or len(shape) not in (1, 2) or 0 in shape:
        raise InputError(f"{shown_as} is {dtype} of shape {shape}: {EXPECTED}, or a matrix (n, n_labels) of 0 and 1")


def class_names(schema: Any, column: str) -> list[str]:
    """Return what the numbers of a column are called, if a parquet file says it as ``datasets`` does.

    Parameters
    ----------
    schema : pyarrow.Schema
    column : str
    """
    try:
        said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"][column]
        said = said[0] if isinstance(said, list) else said
        said = said.get("feature", said)
        names = said["names"] if said["_type"] == "ClassLabel" else []
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _marks(lists: Any) -> np.ndarray | None:
    """Return lists of one length, two or more, that hold 0 and 1 alone as a matrix."""
    import pyarrow.compute as pc

    values, lengths = lists.flatten(), pc.list_value_length(lists)
    width, rest = divmod(len(values), max(1, len(lists)))
    if rest or width < 2 or values.null_count or (np.asarray(lengths) != width).any():
        return None
    matrix = values.to_numpy(zero_copy_only=False).reshape(len(lists), width)
    return matrix if ((matrix == 0) | (matrix == 1)).all() else None
