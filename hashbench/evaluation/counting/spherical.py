"""Histograms by spherical Hamming distance, out of the histograms by Hamming distance.

The distance is |a ⊕ b| / |a ∧ b| (Heo et al., Spherical hashing, CVPR 2012, section 3.3): two codes are close when
they differ in few bits and lie inside many spheres together. Among database codes with equally many ones it depends
on the Hamming distance alone, |a ∧ b| = (|a| + |b| − |a ⊕ b|) / 2, so that one Hamming histogram for each number of
ones holds all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hashbench.evaluation.counting.codes import CodePair, refuse_bits_beyond
from hashbench.evaluation.counting.histograms import Histograms

MAX_BITS = 128
"""Beyond, the thousands of different distances times the queries outgrow memory."""


def levels(n_bits: int) -> np.ndarray:
    """Return the rank of each distance, int64 of shape (n_bits + 1, n_bits + 1), by |a ⊕ b| and |a ∧ b|.

    Equal ratios share a level. Codes without a common one are farthest; two codes without any one are equal, so
    their distance is 0.
    """
    differ, common = np.indices((n_bits + 1, n_bits + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(differ == 0, 0.0, differ / common)
    ratio[differ + common > n_bits] = 0.0  # no two codes are there
    return np.unique(ratio, return_inverse=True)[1].reshape(ratio.shape)


def spherical_histograms(codes: CodePair, count: Callable[[np.ndarray], Histograms]) -> Histograms:
    """Return histograms whose levels are spherical Hamming distances, nearest first.

    Parameters
    ----------
    codes : CodePair
    count : callable
        ``count(rows)`` returns the Hamming histograms of some rows of the database.

    Raises
    ------
    ValueError
        Codes are longer than 128 bits, or have a bit beyond their length.
    """
    n_bits = codes.n_bits
    if n_bits > MAX_BITS:
        raise ValueError(f"distance='spherical' takes codes of up to {MAX_BITS} bits, got {n_bits}")
    refuse_bits_beyond(codes.queries, n_bits, "query_codes")
    refuse_bits_beyond(codes.database, n_bits, "database_codes")
    table = levels(n_bits)
    query_weights = np.bitwise_count(codes.queries).sum(axis=1, dtype=np.int64)
    weights = np.bitwise_count(codes.database).sum(axis=1, dtype=np.int64)
    shape = len(query_weights), int(table.max()) + 1
    summed = Histograms(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(len(query_weights), np.int64))
    for weight in np.unique(weights):
        part = count(np.flatnonzero(weights == weight))
        differ = np.arange(n_bits + 1)
        common = (query_weights[:, None] + weight - differ) // 2
        # Where there are no codes there is nothing to add, so any level will do.
        level = table[differ, common.clip(0, n_bits)]
        _add(summed, part, level)
    return summed


def _add(summed: Histograms, part: Histograms, level: np.ndarray) -> None:
    """Add a part's counts at each query's levels."""
    rows = np.arange(len(level))[:, None]
    np.add.at(summed.total, (rows, level), part.total)
    np.add.at(summed.relevant, (rows, level), part.relevant)
    summed.n_relevant += part.n_relevant
    summed.several_labels = part.several_labels
    for k, counts in part.nearest.items():
        np.add.at(summed.nearest.setdefault(k, np.zeros_like(summed.total)), (rows, level), counts)
    if part.shared is not None:
        if summed.shared is None:
            summed.shared = np.zeros((*summed.total.shape, part.shared.shape[2]), np.int64)
        np.add.at(summed.shared, (rows, level), part.shared)
