"""What linear methods share: means, and products with exact signs.

All functions read ``X`` in blocks, so ``X`` can be a memory-map much larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.values import BLOCK_ROWS
from hashbench.errors import Unsupported
from hashbench.learning.portable.decisions import decide_linear, dots

NULL = 1e-12
"""Eigenvalues below this share of the greatest are rounding errors."""


def blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of ``X`` a block at a time."""
    for start in range(0, len(X), BLOCK_ROWS):
        yield X[start : start + BLOCK_ROWS]


def mean(X: np.ndarray) -> np.ndarray:
    """Return the mean row of ``X``, shape (d,), float64."""
    return sum(block.sum(axis=0, dtype=np.float64) for block in blocks(X)) / len(X)


def refuse_constant(X: np.ndarray, method: str) -> None:
    """Raise `Unsupported` if all rows of ``X`` are the same."""
    if all((block == X[0]).all() for block in blocks(X)):
        raise Unsupported(f"X has zero variance: {method} needs at least 2 different rows, all {len(X)} are the same")


class LinearMethod(HashMethod):
    """A method whose bits are the signs of ``X @ directions_ − offset_``; a subclass sets both in ``fit``.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float64 or float32
        The hyperplanes' normals.
    offset_ : ndarray of shape (n_bits,), float64
        What each product is compared with.
    """

    carries_nan: ClassVar[bool] = True

    directions_: np.ndarray
    offset_: np.ndarray

    def _keep(self, directions: np.ndarray, offset: np.ndarray | None = None, centre: np.ndarray | None = None) -> None:
        """Set the learned attributes: the offset as given, or the projected centre."""
        self.directions_ = directions
        if offset is None:
            offset = dots(np.ascontiguousarray(directions.T, np.float64), centre)
        self.offset_ = offset

    def project(self, X: np.ndarray) -> np.ndarray:
        """Return ``X @ directions_ − offset_`` at the speed of float32, with the signs of float64.

        The few values whose sign float32 cannot decide are computed again, each from its row only, in a fixed order. So
        a code does not depend on cancellation against the offset, the processor, the number of threads or the position
        of its row in a block. The last bits of a BLAS product depend on all of these.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32

        Returns
        -------
        ndarray of shape (n, n_bits), float32
        """
        X = np.ascontiguousarray(X, np.float32)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            values = X @ self.directions_.astype(np.float32)
            values -= self.offset_.astype(np.float32)
        decide_linear(X, values, np.ascontiguousarray(self.directions_.T, np.float64), self.offset_)
        return values
