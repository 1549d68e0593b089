"""Matrices in MATLAB files of the versions 5 to 7.2; those of 7.3 are HDF5.

scipy's reader is compiled and unchecked: a damaged file ends the process. What is needed here is a small part of the
format (MathWorks, MAT-File Format, level 5): matrices of numbers, and structs of them.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hashbench.codes.damaged import readable
from hashbench.codes.names import is_model
from hashbench.data.readers.arrays.stored_array import Blocks, StoredArray, refuse_too_large, sliced
from hashbench.errors import InputError

INT32, UINT32, MATRIX, COMPRESSED = 5, 6, 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", INT32: "i4", UINT32: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""numpy's types of how numbers are stored, which may be narrower than their class."""
STRUCT = 2
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""numpy's types of the classes of matrices of numbers."""
COMPLEX = 0x0800
HEADER = 128
PEEK = 2**16
"""Bytes in which the flags, the axes and the name of a matrix stand."""
DEEPEST = 4


@dataclass(frozen=True)
class _Matrix:
    """A matrix: its class, axes and name, and where its values begin."""

    kind: int
    shape: tuple[int, ...]
    name: str
    at: int


def open_matlab(path: Path) -> dict[str, StoredArray]:
    """Return a file's matrices of numbers, and those of its structs as ``struct.field``; all else is passed over.

    Raises
    ------
    InputError
        The file is damaged or of version 4, or a matrix claims more than the file holds.
    """
    with path.open("rb") as stream:
        content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[HEADER - 2 : HEADER]))
    if order is None:
        raise InputError(f"{path} is not a MATLAB file of version 5 or newer: save it with -v7")
    arrays: dict[str, StoredArray] = {}
    at = HEADER
    while at < len(content):
        kind, data, at = _element(content, at, order)
        if kind in (MATRIX, COMPRESSED):
            arrays.update(_arrays(path, kind, data, order))
    return arrays


def _arrays(path: Path, kind: int, data: memoryview, order: str) -> Iterator[tuple[str, StoredArray]]:
    """Yield what one variable of a file holds."""
    start, size = data, len(data)
    if kind == COMPRESSED:
        start = memoryview(zlib.decompressobj().decompress(data, PEEK))
        inner, size = struct.unpack_from(f"{order}II", start)
        if inner != MATRIX:
            return
        start = start[8:]
    matrix = _matrix(start, order)
    shown_as = f"{path}: {matrix.name}"
    if matrix.kind in NUMBERS:
        dtype = np.dtype(NUMBERS[matrix.kind])
        if math.prod(matrix.shape) > size:
            sizes = " × ".join(f"{length:,}" for length in matrix.shape)
            raise InputError(f"{shown_as} says {sizes} values, {size:,} bytes are there: save it again")
        refuse_too_large(shown_as, matrix.shape, dtype)
        yield matrix.name, StoredArray(shown_as, matrix.shape, dtype, partial(_blocks, kind, data, order, shown_as))
    elif matrix.kind == STRUCT and not is_model(matrix.name):
        refuse_too_large(shown_as, (size,), np.dtype(np.uint8))
        for name, array in _numbers(_whole(kind, data, order), order, matrix.name):
            yield name, sliced(f"{path}: {name}", array)


def _blocks(kind: int, data: memoryview, order: str, shown_as: str) -> Blocks:
    with readable(shown_as):
        ((_, array),) = _numbers(_whole(kind, data, order), order, "")
    yield np.arange(len(array)), array


def _whole(kind: int, data: memoryview, order: str) -> memoryview:
    """Return a matrix's bytes, decompressed to the length that it says."""
    if kind == MATRIX:
        return data
    reader = zlib.decompressobj()
    size = struct.unpack_from(f"{order}II", reader.decompress(data, 8))[1]
    return memoryview(reader.decompress(reader.unconsumed_tail, size))


def _element(content: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """Return the type and the bytes of an element, and where the next one begins."""
    first, size = struct.unpack_from(f"{order}II", content, at)
    if first >> 16:  # a small element: type and size in four bytes, and four of data
        kind, size, start, after = first & 0xFFFF, first >> 16, at + 4, at + 8
    else:
        kind, start = first, at + 8
        after = start + size + (0 if kind == COMPRESSED else -size % 8)
    if start + size > len(content) or (first >> 16 and size > 4):
        raise ValueError("an element is longer than the file")
    return kind, content[start : start + size], after


def _matrix(content: memoryview, order: str) -> _Matrix:
    kind, flags, at = _element(content, 0, order)
    axes_kind, axes, at = _element(content, at, order)
    _, name, at = _element(content, at, order)
    if kind != UINT32 or axes_kind != INT32 or len(flags) != 8:
        raise ValueError("a matrix has no flags or no axes")
    flag = struct.unpack_from(f"{order}I", flags)[0]
    shape = tuple(np.frombuffer(axes, f"{order}i4").tolist())
    if min(shape, default=-1) < 0:
        raise ValueError("a matrix has a negative axis")
    return _Matrix(-1 if flag & COMPLEX else flag & 0xFF, shape, bytes(name).decode("ascii"), at)


def _numbers(content: memoryview, order: str, name: str, depth: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a matrix of numbers, or those in the fields of a struct of one element."""
    if not content:  # how an empty field is written
        return
    matrix = _matrix(content, order)
    if matrix.kind in NUMBERS:
        kind, data, _ = _element(content, matrix.at, order)
        values = np.frombuffer(data, np.dtype(order + STORED[kind]))
        yield name, values.reshape(matrix.shape, order="F").astype(NUMBERS[matrix.kind], copy=False)
    elif matrix.kind == STRUCT and math.prod(matrix.shape) == 1 and depth < DEEPEST:
        _, width, at = _element(content, matrix.at, order)
        _, names, at = _element(content, at, order)
        (length,) = struct.unpack_from(f"{order}i", width)
        if length < 1:
            raise ValueError("the fields of a struct have no names")
        for start in range(0, len(names), length):
            _, value, at = _element(content, at, order)
            field = bytes(names[start : start + length]).split(b"\0")[0].decode("ascii")
            if not is_model(field):
                yield from _numbers(value, order, f"{name}.{field}", depth + 1)
