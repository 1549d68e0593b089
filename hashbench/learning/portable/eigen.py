"""Leading eigenvectors of a symmetric matrix, the same bits on every processor.

Householder reduction to tridiagonal form, bisection for the eigenvalues, inverse iteration for the vectors (Golub and
Van Loan, Matrix Computations, 4th edition, sections 8.3.1, 8.4.1 and 8.2.2; Wilkinson 1965). LAPACK does the same at
about the same speed, but its order of additions depends on the processor. Vectors of equal eigenvalues are an arbitrary
orthogonal basis, the same on every processor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import float64, int64, njit, types, void

from hashbench.files.compiled import give_numba_a_cache
from hashbench.learning.portable.lanes import SUMS, dot, reflect_rows

EPS = float(np.finfo(np.float64).eps)
CLOSE = 1e-3
"""Vectors of eigenvalues closer than this share of the greatest are orthogonalised."""
INVERSE_STEPS = 3

give_numba_a_cache(Path(__file__).parent)


def leading_eigenvectors(A: np.ndarray, n_vectors: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the greatest eigenvalues of a symmetric matrix and their vectors.

    Parameters
    ----------
    A : ndarray of shape (n, n), float64
        Only the upper triangle is read.
    n_vectors : int
        1 to n.

    Returns
    -------
    values : ndarray of shape (n_vectors,), float64
        Descending.
    vectors : ndarray of shape (n, n_vectors), float64
        Of length 1; the largest component of each is positive.
    """
    A = np.array(A, np.float64, order="C")
    # A power of two, so that squares neither overflow nor underflow, and scaling is exact.
    exponent = int(np.frexp(np.abs(np.triu(A)).max())[1])
    A = np.ldexp(A, -exponent)
    diagonal, beside, factors = _three_diagonals(A)
    values = _greatest(diagonal, beside, n_vectors)
    vectors = np.ascontiguousarray(_vectors(diagonal, beside, values).T)
    _reflect_back(A, factors, vectors)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n_vectors)])
    return np.ldexp(values, exponent), vectors * signs


MATRIX, VECTOR = float64[:, ::1], float64[::1]


@njit(types.Tuple((VECTOR, VECTOR, VECTOR))(MATRIX), nogil=True, cache=True)
def _three_diagonals(A):
    """Return diagonal and subdiagonal after Householder reduction, and the factor of each reflection.

    Row k of ``A`` then holds the vector of reflection k, right of the diagonal.
    """
    n = len(A)
    diagonal, beside, factors = np.zeros(n), np.zeros(n), np.zeros(n)
    v, w, u, y, sums = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(SUMS)
    for k in range(n):
        # Reflection k − 1 is applied to row k here, and to the rows below in the pass that multiplies by reflection k.
        row = A[k]
        for j in range(k, n):
            row[j] -= v[k] * w[j] + w[k] * v[j]
        diagonal[k] = row[k]
        v[k] = w[k] = u[k] = y[k] = 0.0
        if k == n - 1:
            break
        tail = row[k + 2 :]
        squares, first = dot(tail, tail, sums), row[k + 1]
        beside[k], divisor = first, 1.0
        if squares > 0:
            length = np.sqrt(first * first + squares)
            beside[k] = -length if first >= 0 else length
            factors[k] = (beside[k] - first) / beside[k]
            divisor = first - beside[k]
        for j in range(k + 1, n):
            row[j] = u[j] = 1.0 if j == k + 1 else row[j] / divisor
            y[j] = 0.0
        reflect_rows(A, k + 1, n, v, w, u, y, sums)
        half = 0.5 * factors[k] * factors[k] * dot(y, u, sums)
        for j in range(k + 1, n):
            w[j] = factors[k] * y[j] - half * u[j]
            v[j] = u[j]
    return diagonal, beside, factors


@njit
def _largest(x):
    largest = 0.0
    for value in x:
        largest = max(largest, abs(value))
    return largest


@njit
def _n_below(diagonal, squares, smallest, x):
    """Return the number of eigenvalues below x: sign changes of the Sturm sequence."""
    count, pivot = 0, 1.0
    for i in range(len(diagonal)):
        pivot = diagonal[i] - x - (squares[i - 1] / pivot if i else 0.0)
        if abs(pivot) < smallest:
            pivot = -smallest
        count += pivot < 0
    return count


@njit(VECTOR(VECTOR, VECTOR, int64), nogil=True, cache=True)
def _greatest(diagonal, beside, n_values):
    """Return the greatest eigenvalues in descending order, by bisection."""
    n = len(diagonal)
    squares, bound = np.empty(n), 0.0
    for i in range(n):
        squares[i] = beside[i] * beside[i]
        bound = max(bound, abs(diagonal[i]) + abs(beside[i]) + (abs(beside[i - 1]) if i else 0.0))
    smallest = max(EPS * EPS * bound * bound, 1e-300)
    values, top = np.empty(n_values), bound * (1 + 4 * EPS) + 1e-300
    for rank in range(n_values):
        low, high = -bound * (1 + 4 * EPS) - 1e-300, top
        while high - low > 2 * EPS * bound:
            middle = 0.5 * (low + high)
            if middle <= low or middle >= high:
                break
            if n - _n_below(diagonal, squares, smallest, middle) > rank:
                low = middle
            else:
                high = middle
        values[rank] = 0.5 * (low + high)
        top = high
    return values


@njit
def _factorise(diagonal, beside, value, upper, swapped, lower):
    """Write the LU factors of T − value, with partial pivoting.

    ``upper`` (n, 3) is U's diagonal and its two neighbours, ``lower`` what each row is multiplied by.
    """
    n = len(diagonal)
    smallest = EPS * max(_largest(diagonal), _largest(beside)) + 1e-300
    upper[0, 0], upper[0, 1] = diagonal[0] - value, beside[0]
    for i in range(n - 1):
        next_0, next_1, next_2 = beside[i], diagonal[i + 1] - value, beside[i + 1] if i + 2 < n else 0.0
        swapped[i] = abs(next_0) > abs(upper[i, 0])
        if swapped[i]:
            lower[i] = upper[i, 0] / next_0
            upper[i + 1, 0] = upper[i, 1] - lower[i] * next_1
            upper[i + 1, 1] = -lower[i] * next_2
            upper[i, 0], upper[i, 1], upper[i, 2] = next_0, next_1, next_2
        else:
            if abs(upper[i, 0]) < smallest:
                upper[i, 0] = smallest
            lower[i] = next_0 / upper[i, 0]
            upper[i, 2] = 0.0
            upper[i + 1, 0] = next_1 - lower[i] * upper[i, 1]
            upper[i + 1, 1] = next_2
    if abs(upper[n - 1, 0]) < smallest:
        upper[n - 1, 0] = smallest


@njit
def _solve(upper, swapped, lower, x):
    """Overwrite x with the solution of L U z = x, divided by a power of two where it grows large."""
    n = len(x)
    for i in range(n - 1):
        if swapped[i]:
            x[i], x[i + 1] = x[i + 1], x[i]
        x[i + 1] -= lower[i] * x[i]
    for i in range(n - 1, -1, -1):
        right = x[i]
        if i + 1 < n:
            right -= upper[i, 1] * x[i + 1]
        if i + 2 < n:
            right -= upper[i, 2] * x[i + 2]
        x[i] = right / upper[i, 0]
        if abs(x[i]) > 1e100:
            for j in range(n):
                x[j] *= 2.0**-333


@njit
def _normalise(x, sums):
    largest = _largest(x)
    for i in range(len(x)):
        x[i] /= largest
    length = np.sqrt(dot(x, x, sums))
    for i in range(len(x)):
        x[i] /= length


@njit(MATRIX(VECTOR, VECTOR, VECTOR), nogil=True, cache=True)
def _vectors(diagonal, beside, values):
    """Return the eigenvectors of a tridiagonal matrix, (n_values, n), by inverse iteration."""
    n, n_values = len(diagonal), len(values)
    upper, swapped, lower = np.zeros((n, 3)), np.zeros(n, np.bool_), np.zeros(n)
    rows, sums = np.zeros((n_values, n)), np.zeros(SUMS)
    bound = max(_largest(diagonal), _largest(beside))
    begin, state = 0, np.uint64(1)
    shift = np.inf
    for rank in range(n_values):
        if rank and values[rank - 1] - values[rank] > CLOSE * bound:
            begin = rank
        # Equal eigenvalues are separated by a rounding error; else they would give the same vector.
        shift = min(values[rank], shift - 4 * EPS * bound)
        _factorise(diagonal, beside, shift, upper, swapped, lower)
        x = rows[rank]
        for i in range(n):
            state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            x[i] = float(state >> np.uint64(11)) * 2.0**-53 - 0.5
        for _ in range(INVERSE_STEPS):
            _solve(upper, swapped, lower, x)
            _normalise(x, sums)
            for _ in range(2):
                for other in range(begin, rank):
                    share = dot(x, rows[other], sums)
                    for i in range(n):
                        x[i] -= share * rows[other, i]
            _normalise(x, sums)
    return rows


@njit(void(MATRIX, VECTOR, MATRIX), nogil=True, cache=True)
def _reflect_back(A, factors, vectors):
    """Transform eigenvectors of the tridiagonal matrix into those of the original matrix."""
    n, n_vectors = vectors.shape
    shares = np.zeros(n_vectors)
    for k in range(n - 2, -1, -1):
        for j in range(n_vectors):
            shares[j] = 0.0
        for i in range(k + 1, n):
            factor, row = A[k, i], vectors[i]
            for j in range(n_vectors):
                shares[j] += factor * row[j]
        for i in range(k + 1, n):
            factor, row = factors[k] * A[k, i], vectors[i]
            for j in range(n_vectors):
                row[j] -= factor * shares[j]
