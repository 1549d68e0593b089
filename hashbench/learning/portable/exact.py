"""Large products without rounding, whose value does not depend on the order of additions.

A double represents integers up to 2^53 exactly. If factors are rounded to so few binary digits that no sum of products
exceeds that, a product in double precision is exact, with any kernel, number of threads or fused instructions.
"""

from __future__ import annotations

import numpy as np

DIGITS = 53
"""Binary digits of a double."""


def on_grid(values: np.ndarray, n_bits: int, axis: int | None = None) -> np.ndarray:
    """Return values rounded to integer multiples, at most 2^n_bits, of a power of two.

    Parameters
    ----------
    values : ndarray, float64
    n_bits : int
    axis : int, optional
        Axis along which each vector has a separate power; by default all values share one.

    Returns
    -------
    ndarray, float64
    """
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    return to_multiples(values, grid_step(largest, n_bits))


def grid_step(largest: np.ndarray, n_bits: int) -> np.ndarray:
    """Return the power of two for which values up to ``largest`` are at most 2^n_bits multiples."""
    return np.ldexp(1.0, np.frexp(largest)[1] - n_bits)


def to_multiples(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return values rounded to integer multiples, at most 2^50, of powers of two."""
    # Near 1.5 · 2^52 steps, doubles are one step apart.
    far = 1.5 * 2.0**52 * step
    rounded = values + far
    rounded -= far
    return rounded


def shared_bits(n_terms: int) -> int:
    """Return how many binary digits both factors of a product may have in total, for sums of this many terms."""
    return DIGITS - max(int(n_terms) - 1, 0).bit_length()


LOG2_HIGH, LOG2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
"""ln 2 in two parts; the first has so few digits that its multiples up to 2^11 are exact."""
TERMS = 14
"""Terms of the series of exp on ±ln 2 / 2; the remainder is below double precision."""


def falling_exponential(x: np.ndarray) -> np.ndarray:
    """Return exp(−x) by additions and multiplications only, since exp of libraries differs in the last bits.

    Parameters
    ----------
    x : ndarray, float64
        From 0 on.
    """
    x = np.minimum(x, 700.0)
    halvings = np.rint(x / LOG2_HIGH)
    rest = (halvings * LOG2_HIGH - x) + halvings * LOG2_LOW
    total = np.ones_like(x)
    for k in range(TERMS, 0, -1):
        total = 1 + total * rest / k
    return np.ldexp(total, -halvings.astype(np.int64))
