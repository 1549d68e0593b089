"""Rounds wider numbers to float32: vectors that are far from 0 are moved before they are rounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashbench.data.readers.arrays.stored_array import StoredArray, in_steps

FAR = 1000
"""How many times farther from 0 than from each other vectors may be before they are moved."""
SAMPLE = 1000
"""Rows of each part that are looked at for that."""


def is_wide(stored: StoredArray) -> bool:
    """Return whether an array holds floats of which float32 keeps a part only."""
    return stored.dtype.kind == "f" and stored.dtype.itemsize > 4


def middle_of_far_vectors(parts: Sequence[StoredArray]) -> np.ndarray | None:
    """Return the middle of vectors that are far from 0, seen from each other, and None where they do not.

    Rounding to float32 errs in proportion to a value; of 100000.001 and 100000.002 it makes one number. Moved by
    any point between them they keep their differences, and so all Euclidean distances; it is the mean of each part's
    first rows.

    Parameters
    ----------
    parts : sequence of StoredArray
        Of one width.

    Returns
    -------
    ndarray of shape (d,), float64, or None
    """
    n, near = 0, np.zeros(parts[0].shape[1])
    sums, squares = np.zeros_like(near), np.zeros_like(near)
    with np.errstate(all="ignore"):  # what is not finite is refused when it is converted
        for stored in parts:
            _, rows = next(in_steps(stored, SAMPLE))
            exact = np.asarray(rows, np.float64)
            near = exact[0] if n == 0 else near
            moved = exact - near  # sums of values that are far from 0 would lose what tells them apart
            n, sums, squares = n + len(exact), sums + moved.sum(axis=0), squares + np.square(moved).sum(axis=0)
        middle = near + sums / n
        spread = float((squares / n - np.square(sums / n)).clip(0).sum())
        far = np.isfinite(spread) and float(np.square(middle).sum()) > FAR**2 * spread > 0
    return middle if far else None


class EqualRows:
    """Counts the rows that differ before they are rounded and are equal after it."""

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []
        self._after: list[np.ndarray] = []

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Note rows as they were given and as they are kept."""
        self._before.append(_fingerprints(before))
        self._after.append(_fingerprints(after))

    @property
    def count(self) -> int:
        """How many different rows have become equal to another one."""
        before, after = (len(np.unique(np.concatenate(noted))) for noted in (self._before, self._after))
        return before - after


def _fingerprints(rows: np.ndarray) -> np.ndarray:
    """Return a number of 64 bits for each row, the same for equal rows, by chance alone for others."""
    bits = np.ascontiguousarray(rows, np.float64) + 0.0  # −0 is 0
    factors = np.random.default_rng(0).integers(0, 2**64, bits.shape[1], np.uint64) | np.uint64(1)
    mixed = bits.view(np.uint64) * factors
    return (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
