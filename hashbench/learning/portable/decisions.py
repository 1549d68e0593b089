"""Signs that do not depend on rounding: where single precision cannot decide, values are computed again in fixed order.

The error of a sum of d products in single precision, in any order, with or without fused instructions, is at most (d +
2) u ‖x‖ ‖w‖, u = 2⁻²⁴, also where the factors were rounded to single precision before (Higham, Accuracy and Stability
of Numerical Algorithms, 2nd edition, section 3.1). A value further from zero has the exact sign, in single and double
precision. A value nearer to zero is computed again in double precision.
"""

from __future__ import annotations

from math import floor, pi, sin
from pathlib import Path

import numpy as np
from numba import float32, float64, int64, njit, types, void

from hashbench.files.compiled import give_numba_a_cache
from hashbench.learning.portable.lanes import SUMS, dot, squared_distance

UNIT = float(np.finfo(np.float32).eps) / 2
"""Half the distance from 1 to the next number in single precision."""
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
ROWS = types.Array(types.float32, 2, "C", readonly=True)
MATRIX, VECTOR, VALUES = float64[:, ::1], float64[::1], float32[:, ::1]

give_numba_a_cache(Path(__file__).parent)


@njit
def rounding(d, reach):
    """Return the error bound of a single-precision product; infinite where float32 may overflow.

    ``reach`` is at least ‖x‖ ‖w‖. The bound includes underflow in each term.
    """
    return (d + 4) * UNIT * reach + d * SMALLEST if reach < LARGEST / 4 else np.inf


@njit
def within_float32(value):
    """Return a finite value, clamped in size to the normal numbers of single precision; 0 stays 0."""
    if value == 0 or not abs(value) < np.inf:
        return value
    return np.copysign(min(max(abs(value), SMALLEST), LARGEST), value)


@njit(VECTOR(MATRIX), nogil=True, cache=True)
def lengths(rows):
    """Return the length of each row."""
    found, sums = np.empty(len(rows)), np.empty(SUMS)
    for i in range(len(rows)):
        found[i] = np.sqrt(dot(rows[i], rows[i], sums))
    return found


@njit(VECTOR(MATRIX, VECTOR), nogil=True, cache=True)
def dots(rows, x):
    """Return the product of each row with x."""
    found, sums = np.empty(len(rows)), np.empty(SUMS)
    for i in range(len(rows)):
        found[i] = dot(rows[i], x, sums)
    return found


@njit(void(ROWS, VALUES, MATRIX, VECTOR), nogil=True, cache=True)
def decide_linear(X, values, normals, offset):
    """Recompute those values of ``X @ normals.T − offset`` whose sign is uncertain.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    values : ndarray of shape (n, n_bits), float32
        From a product in single precision; overwritten where they are uncertain or NaN.
    normals : ndarray of shape (n_bits, d), float64
    offset : ndarray of shape (n_bits,), float64
    """
    d, n_bits, sums = X.shape[1], len(normals), np.empty(SUMS)
    sizes = np.empty(n_bits)
    for j in range(n_bits):
        sizes[j] = np.sqrt(dot(normals[j], normals[j], sums))
    for i in range(len(X)):
        length = np.sqrt(dot(X[i], X[i], sums))
        for j in range(n_bits):
            slack = rounding(d, length * sizes[j]) + 2 * UNIT * abs(offset[j])
            if not abs(values[i, j]) > slack:
                values[i, j] = within_float32(dot(X[i], normals[j], sums) - offset[j])


@njit(void(ROWS, VALUES, VALUES, MATRIX, VECTOR, int64[::1], VECTOR), nogil=True, cache=True)
def decide_waves(X, functions, phases, normals, low, axes, frequencies):
    """Recompute those values of cos(frequency (X @ normal − low)) whose sign is uncertain.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    functions, phases : ndarray of shape (n, n_bits), float32
        Sines of phases in single precision; the functions are overwritten where they are uncertain.
    normals : ndarray of shape (n_directions, d), float64
    low : ndarray of shape (n_directions,), float64
    axes : ndarray of shape (n_bits,), int64
        Each bit's direction.
    frequencies : ndarray of shape (n_bits,), float64
    """
    d, sums = X.shape[1], np.empty(SUMS)
    sizes = np.empty(len(normals))
    for j in range(len(normals)):
        sizes[j] = np.sqrt(dot(normals[j], normals[j], sums))
    for i in range(len(X)):
        length = np.sqrt(dot(X[i], X[i], sums))
        for j in range(len(axes)):
            axis, phase = axes[j], float(phases[i, j])
            slack = frequencies[j] * (rounding(d, length * sizes[axis]) + 2 * UNIT * abs(low[axis]))
            if not abs(functions[i, j]) > slack + 8 * UNIT * (abs(phase) + 1):
                angle = (dot(X[i], normals[axis], sums) - low[axis]) * frequencies[j]
                # The sign follows from the number of half turns, since sines differ between libraries.
                half_turns = floor(angle / pi + 0.5)
                sign = 1.0 if half_turns % 2 == 0 else -1.0
                functions[i, j] = np.copysign(max(abs(sin(angle + pi / 2)), SMALLEST), sign) + 0 * angle


@njit(void(ROWS, VALUES, VECTOR, MATRIX, VECTOR), nogil=True, cache=True)
def decide_spheres(X, values, origin, centres, squared_radii):
    """Recompute those values of ``squared_radii − ‖X − origin − centre‖²`` whose sign is uncertain.

    Every term is at most the square of the sum of row, centre and radius. Rounding of the origin moves a row by a
    fraction of the origin.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    values : ndarray of shape (n, n_bits), float32
        From single precision; overwritten where they are uncertain.
    origin : ndarray of shape (d,), float64
    centres : ndarray of shape (n_bits, d), float64
    squared_radii : ndarray of shape (n_bits,), float64
    """
    d, n_bits, row, sums = X.shape[1], len(centres), np.empty(X.shape[1]), np.empty(SUMS)
    far = np.sqrt(dot(origin, origin, sums))
    reach = np.empty(n_bits)
    for j in range(n_bits):
        reach[j] = np.sqrt(dot(centres[j], centres[j], sums)) + np.sqrt(squared_radii[j])
    for i in range(len(X)):
        for k in range(d):
            row[k] = X[i, k] - origin[k]
        length = np.sqrt(dot(row, row, sums))
        for j in range(n_bits):
            all_of_it = length + reach[j]
            if not abs(values[i, j]) > rounding(d + 4, all_of_it * (all_of_it + far)):
                values[i, j] = within_float32(squared_radii[j] - squared_distance(row, centres[j], sums))


@njit(MATRIX(ROWS, VECTOR, MATRIX), nogil=True, cache=True)
def squared_distances(X, origin, centres):
    """Return ‖X − origin − centre‖² of all rows and centres, (n, n_centres), as `decide_spheres` computes them."""
    n, d = X.shape
    found, row, sums = np.empty((n, len(centres))), np.empty(d), np.empty(SUMS)
    for i in range(n):
        for k in range(d):
            row[k] = X[i, k] - origin[k]
        for j in range(len(centres)):
            found[i, j] = squared_distance(row, centres[j], sums)
    return found
