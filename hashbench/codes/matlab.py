"""Matrices in MATLAB files of the versions 5 to 7.2, and structs of them; those of 7.3 are HDF5."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from hashbench.codes.damaged import readable
from hashbench.codes.names import is_model
from hashbench.data.readers.arrays.mat_elements import (
    NUMBERS,
    STRUCT,
    Variable,
    element,
    matrix_of,
    numbers_at,
    variables,
)
from hashbench.data.readers.arrays.stored_array import Blocks, StoredArray, refuse_too_large, sliced
from hashbench.errors import InputError

DEEPEST = 4


def open_matlab(path: Path) -> dict[str, StoredArray]:
    """Return a file's matrices of numbers, and those of its structs as ``struct.field``; all else is passed over.

    Raises
    ------
    InputError
        The file is damaged or of version 4, or a matrix claims more than the file holds.
    """
    return {name: array for variable in variables(path) for name, array in _arrays(path, variable)}


def _arrays(path: Path, variable: Variable) -> Iterator[tuple[str, StoredArray]]:
    """Yield what one variable of a file holds."""
    matrix, size = variable.matrix, variable.size
    shown_as = f"{path}: {matrix.name}"
    if matrix.kind in NUMBERS:
        dtype = np.dtype(NUMBERS[matrix.kind])
        if math.prod(matrix.shape) > size:
            sizes = " × ".join(f"{length:,}" for length in matrix.shape)
            raise InputError(f"{shown_as} says {sizes} values, {size:,} bytes are there: save it again")
        refuse_too_large(shown_as, matrix.shape, dtype)
        yield matrix.name, StoredArray(shown_as, matrix.shape, dtype, partial(_blocks, variable, shown_as))
    elif matrix.kind == STRUCT and not is_model(matrix.name):
        refuse_too_large(shown_as, (size,), np.dtype(np.uint8))
        for name, array in _numbers(variable.content(), variable.order, matrix.name):
            yield name, sliced(f"{path}: {name}", array)


def _blocks(variable: Variable, shown_as: str) -> Blocks:
    with readable(shown_as):
        ((_, array),) = _numbers(variable.content(), variable.order, "")
    yield np.arange(len(array)), array


def _numbers(content: memoryview, order: str, name: str, depth: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a matrix of numbers, or those in the fields of a struct of one element."""
    if not content:  # how an empty field is written
        return
    matrix = matrix_of(content, order)
    if matrix.kind in NUMBERS:
        values, _ = numbers_at(content, matrix.at, order)
        yield name, values.reshape(matrix.shape, order="F").astype(NUMBERS[matrix.kind], copy=False)
    elif matrix.kind == STRUCT and math.prod(matrix.shape) == 1 and depth < DEEPEST:
        _, width, at = element(content, matrix.at, order)
        _, names, at = element(content, at, order)
        (length,) = struct.unpack_from(f"{order}i", width)
        if length < 1:
            raise ValueError("the fields of a struct have no names")
        for start in range(0, len(names), length):
            _, value, at = element(content, at, order)
            field = bytes(names[start : start + length]).split(b"\0")[0].decode("ascii")
            if not is_model(field):
                yield from _numbers(value, order, f"{name}.{field}", depth + 1)
