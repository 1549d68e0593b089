"""Elements of MATLAB files of the versions 5 to 7.2: what a file, a matrix and a sparse matrix consist of.

scipy's reader is compiled and unchecked: a damaged file ends the process. What is needed here is a small part of the
format (MathWorks, MAT-File Format, level 5).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.errors import InputError

INT32, UINT32, MATRIX, COMPRESSED = 5, 6, 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", INT32: "i4", UINT32: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""numpy's types of how numbers are stored, which may be narrower than their class."""
STRUCT, SPARSE = 2, 5
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""numpy's types of the classes of matrices of numbers."""
COMPLEX = 0x0800
HEADER = 128
PEEK = 2**16
"""Bytes in which the flags, the axes and the name of a matrix stand."""


@dataclass(frozen=True)
class MatMatrix:
    """A matrix: its class, axes and name, and where its values begin."""

    kind: int
    shape: tuple[int, ...]
    name: str
    at: int


@dataclass(frozen=True)
class Variable:
    """A variable of a file.

    Attributes
    ----------
    matrix : MatMatrix
    size : int
        Bytes of its content, decompressed.
    kind : int
        `MATRIX` or `COMPRESSED`.
    data : memoryview
        The content in the file.
    order : str
        ``<`` or ``>``, the order of bytes.
    """

    matrix: MatMatrix
    size: int
    kind: int
    data: memoryview
    order: str

    def content(self) -> memoryview:
        """Return the variable's bytes, decompressed to the length that it says."""
        if self.kind == MATRIX:
            return self.data
        reader = zlib.decompressobj()
        size = struct.unpack_from(f"{self.order}II", reader.decompress(self.data, 8))[1]
        return memoryview(reader.decompress(reader.unconsumed_tail, size))


def variables(path: Path) -> Iterator[Variable]:
    """Yield the variables of a file that are matrices of any class; values are not read.

    Raises
    ------
    InputError
        The file is of version 4, or of 7.3.
    ValueError, struct.error, zlib.error
        The file is damaged.
    """
    with path.open("rb") as stream:
        content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[HEADER - 2 : HEADER]))
    if order is None:
        raise InputError(f"{path} is not a MATLAB file of version 5 or newer: save it with -v7")
    at = HEADER
    while at < len(content):
        kind, data, at = element(content, at, order)
        start, size = data, len(data)
        if kind == COMPRESSED:
            start = memoryview(zlib.decompressobj().decompress(data, PEEK))
            inner, size = struct.unpack_from(f"{order}II", start)
            if inner != MATRIX:
                continue
            start = start[8:]
        elif kind != MATRIX:
            continue
        yield Variable(matrix_of(start, order), size, kind, data, order)


def element(content: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
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


def matrix_of(content: memoryview, order: str) -> MatMatrix:
    """Return what stands at the beginning of a matrix."""
    kind, flags, at = element(content, 0, order)
    axes_kind, axes, at = element(content, at, order)
    _, name, at = element(content, at, order)
    if kind != UINT32 or axes_kind != INT32 or len(flags) != 8:
        raise ValueError("a matrix has no flags or no axes")
    flag = struct.unpack_from(f"{order}I", flags)[0]
    shape = tuple(np.frombuffer(axes, f"{order}i4").tolist())
    if min(shape, default=-1) < 0:
        raise ValueError("a matrix has a negative axis")
    return MatMatrix(-1 if flag & COMPLEX else flag & 0xFF, shape, bytes(name).decode("ascii"), at)


def numbers_at(content: memoryview, at: int, order: str) -> tuple[np.ndarray, int]:
    """Return the numbers of an element, as they are stored, and where the next one begins."""
    kind, data, after = element(content, at, order)
    return np.frombuffer(data, np.dtype(order + STORED[kind])), after
