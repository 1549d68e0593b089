"""Principal directions, and data projected on them, with the same bits on every processor.

All functions read ``X`` in blocks, so ``X`` can be a memory-map much larger than memory.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk

from hashbench.contract.values import BLOCK_ROWS
from hashbench.errors import Unsupported
from hashbench.learning.linear import NULL, blocks, mean, refuse_constant
from hashbench.learning.portable.eigen import leading_eigenvectors
from hashbench.learning.portable.exact import grid_step, on_grid, shared_bits, to_multiples

FINE_FEATURES = 512
"""Up to this many features, twice the digits cost little."""
DATA_BITS = shared_bits(BLOCK_ROWS) // 2


def principal_axes(X: np.ndarray, n_bits: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the leading eigenvectors of the covariance.

    The data is rounded to 21 binary digits below each feature's largest distance from its mean, to 42 where there are
    at most 512 features, so that the covariance of a block is a sum without rounding.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    n_bits : int
        Number of eigenvectors.
    method : str
        Name of the method, for error messages.

    Returns
    -------
    mean : ndarray of shape (d,), float64
    directions : ndarray of shape (d, n_bits), float64
        By descending eigenvalue; the largest component of each is positive. Directions without variance are zero, since
        their eigenvectors would be noise.

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
    step = grid_step(_reach(X, centre), DATA_BITS)
    fine = np.ldexp(step, -DATA_BITS) if d <= FINE_FEATURES else None
    values, vectors = leading_eigenvectors(_scatter(X, centre, step, fine), n_bits)
    rounding = n * np.square((step if fine is None else fine) / 2).sum()
    return centre, np.where(values > max(NULL * values[0], rounding), vectors, 0.0)


def _reach(X: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return each feature's largest distance from the centre."""
    least, greatest = X[0], X[0]
    for block in blocks(X):
        least, greatest = np.minimum(least, block.min(axis=0)), np.maximum(greatest, block.max(axis=0))
    return np.maximum(centre - least, greatest - centre)


def _scatter(X: np.ndarray, centre: np.ndarray, step: np.ndarray, fine: np.ndarray | None) -> np.ndarray:
    """Return (X − centre)ᵀ(X − centre), on and above the diagonal.

    The products of each block are exact: those of its multiples of ``step``, and those of these with the remainders,
    which are multiples of ``fine``.
    """
    d = X.shape[1]
    total, one = np.zeros((d, d), order="F"), np.zeros((d, d), order="F")
    for block in blocks(X):
        centred = block - centre
        coarse = to_multiples(centred, step)
        # By scipy's BLAS: a product of a matrix with itself takes half the time there, and numpy has no such function.
        one = dsyrk(1.0, coarse.T, beta=0.0, c=one, lower=1, overwrite_c=1)
        total += one
        if fine is not None:
            crossed = coarse.T @ to_multiples(centred - coarse, fine)
            total += crossed + crossed.T
    return total.T


def centred_values(X: np.ndarray, centre: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return (X − centre) @ directions, both rounded to half of the digits that an exact sum allows.

    That is about single precision: 21 binary digits for 1,280 features.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    centre : ndarray of shape (d,), float64
    directions : ndarray of shape (d, n_directions), float64

    Returns
    -------
    ndarray of shape (n, n_directions), float64
    """
    n_bits = shared_bits(len(centre)) // 2
    step = grid_step(_reach(X, centre).max(), n_bits)
    directions = on_grid(directions, shared_bits(len(centre)) - n_bits)
    return np.concatenate([to_multiples(block - centre, step) @ directions for block in blocks(X)])
