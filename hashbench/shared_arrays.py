"""Arrays for other processes: one that lies in a file is sent as the file's name."""

from __future__ import annotations

from typing import Any

import numpy as np


class SharedArray:
    """An array that pickles as a place in a file where it is a view of a memory-map, else as it is.

    Parameters
    ----------
    array : ndarray
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Find the memory-map below the array, and where in it the array begins."""
        root: Any = self.array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap) or min(self.array.strides, default=0) < 0:
            return SharedArray, (np.array(self.array),)
        offset = root.offset + self.array.ctypes.data - root.ctypes.data
        return _open, (root.filename, self.array.dtype.str, self.array.shape, offset, self.array.strides)


def portable(value: Any) -> Any:
    """Return what to send another process in place of an array; all else, which knows itself, as it is."""
    return SharedArray(value) if isinstance(value, np.ndarray) else value


def received(value: Any) -> Any:
    """Return what `portable` was given."""
    return value.array if isinstance(value, SharedArray) else value


def _open(file: Any, dtype: str, shape: tuple[int, ...], offset: int, strides: tuple[int, ...]) -> SharedArray:
    content = np.memmap(file, np.uint8, "r")
    return SharedArray(np.ndarray(shape, dtype, content, offset, strides))
