"""Rounds float64 vectors to float32; vectors far from 0 are shifted first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashbench.data.readers.arrays.stored_array import StoredArray, in_steps

FAR = 1000
"""Ratio of the distance from 0 to the distance from each other above which vectors are shifted."""
SAMPLE = 1000
"""Rows of each part that are examined for that."""


def is_wide(stored: StoredArray) -> bool:
    """Return whether an array holds floats wider than float32."""
    return stored.dtype.kind == "f" and stored.dtype.itemsize > 4


def middle_of_far_vectors(parts: Sequence[StoredArray]) -> np.ndarray | None:
    """Return the mean of vectors that are far from 0 compared with their distances; None if they are not.

    The rounding error of float32 is proportional to the value; 100000.001 and 100000.002 become one number. A shift
    keeps all differences, hence all Euclidean distances. Vectors are shifted by the mean of the first rows of each
    part.

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
    with np.errstate(all="ignore"):  # values that are not finite are refused later, in the conversion
        for stored in parts:
            _, rows = next(in_steps(stored, SAMPLE))
            exact = np.asarray(rows, np.float64)
            near = exact[0] if n == 0 else near
            moved = exact - near  # sums of values far from 0 would lose their differences
            n, sums, squares = n + len(exact), sums + moved.sum(axis=0), squares + np.square(moved).sum(axis=0)
        middle = near + sums / n
        spread = float((squares / n - np.square(sums / n)).clip(0).sum())
        far = np.isfinite(spread) and float(np.square(middle).sum()) > FAR**2 * spread > 0
    return middle if far else None


class EqualRows:
    """Counts rows that differ before rounding and are equal after it."""

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []
        self._after: list[np.ndarray] = []

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Add rows before and after rounding."""
        self._before.append(_fingerprints(before))
        self._after.append(_fingerprints(after))

    @property
    def count(self) -> int:
        """Number of different rows that have become equal to another one."""
        before, after = (len(np.unique(np.concatenate(noted))) for noted in (self._before, self._after))
        return before - after


def _fingerprints(rows: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each row."""
    bits = np.ascontiguousarray(rows, np.float64) + 0.0  # −0 is 0
    factors = np.random.default_rng(0).integers(0, 2**64, bits.shape[1], np.uint64) | np.uint64(1)
    mixed = bits.view(np.uint64) * factors
    return (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
