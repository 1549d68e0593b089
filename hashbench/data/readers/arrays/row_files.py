"""Vectors in the plain binary files of the large benchmarks: .fvecs, .fbin and the like.

In the first kind (corpus-texmex.irisa.fr), the number of values precedes each row. A file of the second kind
(big-ann-benchmarks, cuVS) begins with the numbers of rows and of values in a row. All numbers are little-endian.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.data.readers.arrays.stored_array import Blocks, StoredArray, readable, rows_of_a_block, sliced
from hashbench.errors import InputError

LENGTH_IN_ROWS: dict[str, np.dtype] = {".fvecs": np.dtype("<f4"), ".bvecs": np.dtype("u1"), ".ivecs": np.dtype("<i4")}
SHAPE_AHEAD: dict[str, np.dtype] = {
    ".fbin": np.dtype("<f4"),
    ".f16bin": np.dtype("<f2"),
    ".u8bin": np.dtype("u1"),
    ".i8bin": np.dtype("i1"),
    ".ibin": np.dtype("<i4"),
}
SUFFIXES = (*LENGTH_IN_ROWS, *SHAPE_AHEAD)
LENGTH = np.dtype("<i4")
COUNTS = np.dtype("<u4")


def open_rows(path: Path, suffix: str) -> StoredArray:
    """Memory-map a file whose rows follow one another.

    Parameters
    ----------
    path : Path
    suffix : str
        One of `SUFFIXES`, which determines the type of the rows.

    Raises
    ------
    InputError
        The file cannot be read or is empty, its rows differ in length, or its size is not what its header says.
    """
    with readable(str(path), f"{suffix} file"):
        if suffix in LENGTH_IN_ROWS:
            return _length_in_rows(path, LENGTH_IN_ROWS[suffix])
        return _shape_ahead(path, SHAPE_AHEAD[suffix], suffix)


def is_ground_truth(path: Path) -> bool:
    """Return whether a file, whatever its name, has the size of big-ann-benchmarks' true neighbours.

    These are a header, row numbers (n, k) and as many distances, of 4 bytes each.
    """
    header = np.fromfile(path, COUNTS, 2)
    return len(header) == 2 and path.stat().st_size == header.nbytes + 8 * int(header[0]) * int(header[1]) > 8


def _length_in_rows(path: Path, dtype: np.dtype) -> StoredArray:
    size = path.stat().st_size
    first = np.fromfile(path, LENGTH, 1)
    if len(first) == 0:
        raise InputError(f"{path} holds no vector")
    width = int(first[0])
    if not 0 < width <= (size - LENGTH.itemsize) // dtype.itemsize:
        raise InputError(
            f"{path}: row 0 says that it has {width:,} values, the file has {size:,} bytes; fetch it again"
        )
    row_bytes = LENGTH.itemsize + width * dtype.itemsize
    n_rows, rest = divmod(size, row_bytes)
    content = np.memmap(path, np.uint8, "r", shape=(n_rows, row_bytes))
    if rest:
        for start, block in _blocks_of(content, content):
            _refuse_other_length(path, block, start, width)
        raise InputError(
            f"{path} is cut short: {rest:,} bytes follow its last whole row, {n_rows - 1:,}; fetch it again"
        )
    values = content[:, LENGTH.itemsize :].view(dtype)

    def blocks() -> Blocks:
        for start, block in _blocks_of(content, values):
            _refuse_other_length(path, content[start : start + len(block)], start, width)
            yield np.arange(start, start + len(block)), block

    return StoredArray(str(path), values.shape, dtype, blocks, values)


def _blocks_of(content: np.ndarray, values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    step = rows_of_a_block(content.shape, content.dtype)
    return [(start, values[start : start + step]) for start in range(0, len(values), step)]


def _refuse_other_length(path: Path, rows: np.ndarray, start: int, width: int) -> None:
    """Raise if a row does not begin with the length of the first one."""
    lengths = np.ascontiguousarray(rows[:, : LENGTH.itemsize]).view(LENGTH)[:, 0]
    other = lengths != width
    if other.any():
        row = int(np.argmax(other))
        raise InputError(
            f"{path}: row {start + row} says that it has {lengths[row]:,} values, row 0 {width:,}: expected the same "
            "length in all rows"
        )


def _shape_ahead(path: Path, dtype: np.dtype, suffix: str) -> StoredArray:
    size, header = path.stat().st_size, np.fromfile(path, COUNTS, 2)
    if len(header) < 2:
        raise InputError(f"{path} has {size} bytes, less than the header of a {suffix} file")
    n_rows, width = (int(number) for number in header)
    stated = header.nbytes + n_rows * width * dtype.itemsize
    # The true neighbours of big-ann-benchmarks are followed by their distances, float32.
    with_distances = stated + 4 * n_rows * width if suffix == ".ibin" else stated
    if size not in (stated, with_distances):
        raise InputError(
            f"{path}: its header says {n_rows:,} rows of {width:,} values, {stated:,} bytes; the file has {size:,}: "
            "fetch it again"
        )
    if n_rows * width == 0:
        raise InputError(f"{path} has {n_rows} rows of {width} values: there is nothing in it")
    return sliced(str(path), np.memmap(path, dtype, "r", header.nbytes, (n_rows, width)))
