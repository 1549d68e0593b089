"""What linear methods share: principal directions, and products with exact signs.

Everything reads ``X`` in blocks, so that it may be a memory-map far larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk

from hashbench.errors import Unsupported
from hashbench.learning.portable.decisions import decide_linear, dots
from hashbench.method import BLOCK_ROWS, HashMethod

NULL = 1e-12
"""Eigenvalues below this share of the greatest are rounding."""


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


def principal_directions(X: np.ndarray, n_bits: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the leading eigenvectors of the covariance, accumulated in float64.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    n_bits : int
        Number of eigenvectors.
    method : str
        Who asks, for the error messages.

    Returns
    -------
    mean : ndarray of shape (d,), float64
    directions : ndarray of shape (d, n_bits), float64
        By falling eigenvalue; the largest component of each is positive. Where the data has no variance left,
        an eigenvector would be noise and the direction is zero.

    Raises
    ------
    Unsupported
        ``n_bits`` exceeds n or d, or all rows are the same.
    """
    n, d = X.shape
    if n_bits > d:
        raise Unsupported(f"n_bits={n_bits}: {method} gives at most one bit per feature, {d} here")
    if n_bits > n:
        raise Unsupported(f"n_bits={n_bits}: {method} gives at most one bit per training row, {n} here")
    refuse_constant(X, method)
    centre = mean(X)
    # Both steps through scipy's BLAS: numpy brings another one, whose threads still spin when scipy's start.
    scatter = np.zeros((d, d), order="F")
    for block in blocks(X):
        scatter = dsyrk(1.0, (block - centre).T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
    values, vectors = eigh(scatter, lower=True, subset_by_index=[d - n_bits, d - 1], overwrite_a=True)
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n_bits)])
    return centre, np.where(values > NULL * values[0], vectors, 0.0)


def centred_product(X: np.ndarray, centre: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return (X − centre) @ directions, shape (n, n_directions), float32."""
    centre, directions = centre.astype(np.float32), directions.astype(np.float32)
    return np.concatenate([(block - centre) @ directions for block in blocks(X)])


class LinearMethod(HashMethod):
    """A method whose bits are the signs of ``X @ directions_ − offset_``; a subclass finds the two in ``fit``.

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
        """Return ``X @ directions_ − offset_`` at float32's speed with float64's signs.

        The few values that float32's rounding leaves in doubt are computed again, each from its row only, in a fixed
        order. So a code depends neither on cancellation against the offset nor on the processor, the number of threads
        or where in a block its row stands, all of which the last bits of a BLAS product depend on.

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
