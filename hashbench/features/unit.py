"""Vectors that are compared by the angle between them: divided by their lengths when they are read."""

from __future__ import annotations

import numpy as np

from hashbench.data.similarity import unit_rows

BLOCK_ROWS = 8192


class UnitVectors:
    """Vectors of length 1, float32, made of rows of any length when these are read.

    Parameters
    ----------
    data : ndarray of shape (n, d)
        May be a memory-map.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows, float32.

        Raises
        ------
        InputError
            A row is all zeros.
        """
        numbers = np.arange(len(self.data))[rows]
        unit = np.empty((len(numbers), self.shape[1]), np.float32)
        chosen = self.data[rows]
        for start in range(0, len(chosen), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            unit[part] = unit_rows(chosen[part], numbers[part])
        return unit
