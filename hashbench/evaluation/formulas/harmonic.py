"""Sums of reciprocals over the places of a group, by harmonic numbers instead of a loop.

sum_{t=1..n} 1 / (N + t) = H(N + n) − H(N)   and   sum_{t=1..n} (t − 1) / (N + t) = n − (N + 1) (H(N + n) − H(N)).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

TABLE_SIZE = 65536


def _harmonic_table() -> np.ndarray:
    """Return H(0), …, H(65536), each correctly rounded."""
    total, rest = 0.0, 0.0
    table = np.empty(TABLE_SIZE + 1)
    table[0] = 0.0
    for k in range(1, TABLE_SIZE + 1):  # compensated summation (Neumaier)
        term = 1.0 / k
        new = total + term
        rest += (total - new) + term if total >= term else (term - new) + total
        total = new
        table[k] = total + rest
    return table


HARMONIC = _harmonic_table()


@njit(cache=True)
def reciprocal_sums(before, n):
    """Return sum 1/(N+t) and sum (t−1)/(N+t) over t = 1..n, for N = ``before``, to within a few ulps.

    A group that is short compared with its place is summed by a series around its middle, where the closed forms
    above would cancel; others take a table of H to 2^16 and the asymptotic expansion beyond.
    """
    if n <= 0:
        return 0.0, 0.0
    if n == 1:
        return 1.0 / (before + 1.0), 0.0
    middle = before + 0.5 * (n + 1.0)
    if n <= 0.02 * middle:
        square = float(n) * n
        moment2 = n * (square - 1.0) / 12.0
        moment4 = moment2 * (3.0 * square - 7.0) / 20.0
        moment6 = moment2 * (3.0 * square * square - 18.0 * square + 31.0) / 112.0
        inverse = 1.0 / (middle * middle)
        even = inverse * (moment2 + inverse * (moment4 + inverse * moment6))
        first = (n + even) / middle
        return first, 0.5 * (n - 1.0) * first - even
    if before + n <= TABLE_SIZE:
        first = HARMONIC[before + n] - HARMONIC[before]
    elif before == 0:
        first = _harmonic(float(n))
    else:
        first = math.log1p(n / before) + _tail(before + n) - _tail(before)
        if before < 1000:
            first = _harmonic(float(before + n)) - HARMONIC[before]
    return first, n - (before + 1.0) * first


@njit(cache=True)
def _tail(x):
    """Return H(x) − log(x) − γ by its asymptotic series."""
    inverse = 1.0 / x
    square = inverse * inverse
    return inverse * (0.5 - inverse * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0)))


@njit(cache=True)
def _harmonic(x):
    return math.log(x) + 0.57721566490153286061 + _tail(x)
