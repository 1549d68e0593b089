"""Arrays in files: shape, type and rows, which are read block by block."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.errors import InputError

BLOCK_BYTES = 16 * 2**20

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes
    ----------
    shown_as : str
        Its name in messages: the file, and the array in it.
    shape : tuple of int
    dtype : numpy.dtype
    blocks : callable
        Yields (row numbers in the file, rows), in order.
    mapped : ndarray, optional
        The whole array, if it can be memory-mapped.
    """

    shown_as: str
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[], Blocks]
    mapped: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """Return all rows in memory.

        Raises
        ------
        InputError
            The rows need more memory than is available.
        """
        refuse_too_large(self.shown_as, self.shape, self.dtype)
        return np.concatenate([block for _, block in self.blocks()])


@dataclass(frozen=True)
class Contents:
    """The contents of a file.

    Attributes
    ----------
    kind : str
        Kind of the file, in words.
    arrays : dict from str to StoredArray
    attributes : dict
        Attributes of the file.
    labels : dict from str to list of LabelColumn
        Columns of labels next to those arrays, by the arrays' names; labels that are arrays are among `arrays`.
    passed_over : list of str
        Columns, or files of a folder, that are not read.
    """

    kind: str
    arrays: dict[str, StoredArray]
    attributes: dict[str, Any]
    labels: dict[str, list[LabelColumn]] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


def refuse_too_large(shown_as: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise if an array, whose size a file can state wrongly, needs more memory than is available.

    Raises
    ------
    InputError
        The array is larger than the memory that is available.
    """
    needed, available = math.prod(shape) * dtype.itemsize, psutil.virtual_memory().available
    if needed > available:
        sizes = " × ".join(f"{size:,}" for size in shape)
        raise InputError(
            f"{shown_as}: {sizes} values need {needed / 2**30:,.1f} GiB of memory, {available / 2**30:,.1f} GiB are "
            "available; give fewer"
        )


@contextmanager
def readable(shown_as: str, kind: str) -> Iterator[None]:
    """Turn errors of a reader about a damaged file into one line."""
    import pyarrow

    damaged = (OSError, ValueError, EOFError, RuntimeError, KeyError, NotImplementedError)
    try:
        yield
    except (*damaged, zipfile.BadZipFile, zlib.error, pyarrow.ArrowException) as error:
        raise InputError(f"{shown_as} is not a readable {kind} ({error})") from error


def rows_of_a_block(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Return how many rows are read at a time."""
    return max(1, BLOCK_BYTES // max(1, dtype.itemsize * math.prod(shape[1:])))


def sliced(shown_as: str, array: np.ndarray) -> StoredArray:
    """Return an existing array, memory-mapped or not, as a `StoredArray`."""

    def blocks() -> Blocks:
        step = rows_of_a_block(array.shape, array.dtype)
        for start in range(0, len(array), step):
            block = array[start : start + step]
            yield np.arange(start, start + len(block)), block

    return StoredArray(shown_as, array.shape, array.dtype, blocks, array)


def in_steps(stored: StoredArray, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield first row and rows of an array, ``step`` rows at a time, independently of its blocks.

    Parameters
    ----------
    stored : StoredArray
    step : int
        At least 1; the last part may be shorter.

    Raises
    ------
    InputError
        The file is damaged.
    """
    if stored.mapped is not None:
        for first in range(0, stored.shape[0], step):
            yield first, stored.mapped[first : first + step]
        return
    first, held, n_held = 0, [], 0
    for _, block in stored.blocks():
        held.append(block)
        n_held += len(block)
        if n_held >= step:
            rows = np.concatenate(held)
            whole = n_held - n_held % step
            for start in range(0, whole, step):
                yield first + start, rows[start : start + step]
            first, held, n_held = first + whole, [rows[whole:]], n_held - whole
    if n_held:
        yield first, np.concatenate(held)


def chained(shown_as: str, pieces: Sequence[StoredArray]) -> StoredArray:
    """Return arrays of several files as one, with consecutive row numbers.

    Raises
    ------
    InputError
        The rows of two pieces differ in shape or type.
    """
    first = pieces[0]
    for piece in pieces[1:]:
        if (piece.shape[1:], piece.dtype) != (first.shape[1:], first.dtype):
            raise InputError(
                f"{piece.shown_as} is {piece.dtype} of shape {piece.shape}, {first.shown_as} {first.dtype} of shape "
                f"{first.shape}: expected the same width and type"
            )

    def blocks() -> Blocks:
        before = 0
        for piece in pieces:
            yield from ((rows + before, block) for rows, block in piece.blocks())
            before += piece.shape[0]

    return StoredArray(shown_as, (sum(piece.shape[0] for piece in pieces), *first.shape[1:]), first.dtype, blocks)
