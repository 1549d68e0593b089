"""Small dense matrices: products, rotations and the orthogonal matrix nearest to a given one, the same bits everywhere.

For matrices with as many rows as a code has bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import boolean, float64, njit, void

from hashbench.files.compiled import give_numba_a_cache

MATRIX = float64[:, ::1]
STAY = 1e-12
"""Weight of the previous rotation where the correlation does not determine one."""
ENOUGH, MOST_STEPS = 1e-8, 50
"""Newton's iteration converges quadratically: after a step of 1e-8 it is exact to rounding."""

give_numba_a_cache(Path(__file__).parent)


def product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return A @ B, float64; terms are added from first to last."""
    result = np.zeros((len(A), B.shape[1]))
    _add_product(np.ascontiguousarray(A, np.float64), np.ascontiguousarray(B, np.float64), result)
    return result


@njit(void(MATRIX, MATRIX, MATRIX), nogil=True, cache=True)
def _add_product(A, B, result):
    for i in range(len(A)):
        row = result[i]
        for k in range(len(B)):
            factor, other = A[i, k], B[k]
            for j in range(len(row)):
                row[j] += factor * other[j]


def random_rotation(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return an orthogonal matrix (n, n) from a Gaussian one, by Householder reflections."""
    R = rng.standard_normal((n, n))
    Q = np.eye(n)
    _orthogonalise(R, Q)
    return Q


@njit
def _reflect(A, u, first, factor, column):
    """Multiply the block from row ``first`` and column ``column`` on by I − factor u uᵀ."""
    n = len(A)
    for j in range(column, n):
        share = 0.0
        for i in range(first, n):
            share += u[i] * A[i, j]
        share *= factor
        for i in range(first, n):
            A[i, j] -= share * u[i]


@njit(void(MATRIX, MATRIX), nogil=True, cache=True)
def _orthogonalise(R, Q):
    """Write the orthogonal factor of R to Q, which must be the identity; R is overwritten."""
    n = len(R)
    factors, u = np.zeros(n), np.zeros(n)
    for k in range(n - 1):
        squares = 0.0
        for i in range(k + 1, n):
            squares += R[i, k] * R[i, k]
        if squares == 0:
            continue
        length = np.sqrt(R[k, k] * R[k, k] + squares)
        beta = -length if R[k, k] >= 0 else length
        factors[k], divisor = (beta - R[k, k]) / beta, R[k, k] - beta
        for i in range(k, n):
            u[i] = 1.0 if i == k else R[i, k] / divisor
        _reflect(R, u, k, factors[k], k + 1)
        for i in range(k, n):
            R[i, k] = u[i]
    for k in range(n - 2, -1, -1):
        for i in range(k, n):
            u[i] = R[i, k]
        _reflect(Q, u, k, factors[k], k)


def nearest_rotation(correlation: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the orthogonal matrix R with the greatest trace of Rᵀ ``correlation``.

    That is the orthogonal factor of the polar decomposition, by Newton's iteration with scaling (Higham, Functions of
    Matrices, 2008, section 8.6). If the correlation is rank-deficient, several matrices have it; the one nearest to the
    previous rotation is returned.

    Parameters
    ----------
    correlation, before : ndarray of shape (n, n), float64

    Returns
    -------
    ndarray of shape (n, n), float64
    """
    size = np.sqrt(np.square(correlation).sum() / len(before))
    if size == 0:
        return before
    X = correlation / size + STAY * before
    return X if _polar(X) else before


@njit
def _invert(A, inverse, order):
    """Write the inverse, by Gauss-Jordan elimination with pivoting; return False if there is none."""
    n = len(A)
    for i in range(n):
        for j in range(n):
            inverse[i, j] = A[i, j]
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(inverse[i, k]) > abs(inverse[best, k]):
                best = i
        pivot, order[k] = inverse[best, k], best
        if pivot == 0:
            return False
        for j in range(n):
            inverse[k, j], inverse[best, j] = inverse[best, j], inverse[k, j]
        inverse[k, k] = 1.0
        for j in range(n):
            inverse[k, j] /= pivot
        for i in range(n):
            if i != k:
                row, other, factor = inverse[i], inverse[k], inverse[i, k]
                row[k] = 0.0
                for j in range(n):
                    row[j] -= factor * other[j]
    for k in range(n - 1, -1, -1):
        for i in range(n):
            inverse[i, k], inverse[i, order[k]] = inverse[i, order[k]], inverse[i, k]
    return True


@njit(boolean(MATRIX), nogil=True, cache=True)
def _polar(X):
    """Overwrite a matrix with the orthogonal one nearest to it; return False if it is singular."""
    n = len(X)
    inverse, order = np.empty((n, n)), np.empty(n, np.int64)
    for _ in range(MOST_STEPS):
        if not _invert(X, inverse, order):
            return False
        squares = inverse_squares = 0.0
        for i in range(n):
            for j in range(n):
                squares += X[i, j] * X[i, j]
                inverse_squares += inverse[i, j] * inverse[i, j]
        scale = np.sqrt(np.sqrt(inverse_squares / squares))
        change = 0.0
        for i in range(n):
            for j in range(n):
                value = 0.5 * (scale * X[i, j] + inverse[j, i] / scale)
                change += (value - X[i, j]) ** 2
                X[i, j] = value
        if change <= ENOUGH * ENOUGH * n:
            break
    return True
