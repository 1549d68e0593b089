"""The curves that a record keeps: precision and recall over ranks and over radii."""

from __future__ import annotations

import numpy as np

from hashbench.histograms import Histograms
from hashbench.metrics import expected_hits

RANKS_PER_DECADE = 20


def rank_grid(n_database: int) -> np.ndarray:
    """Return the ranks of a curve: every one to 10, then 20 a decade, and the whole database."""
    decades = np.log10(max(n_database, 1))
    spaced = np.logspace(0, decades, int(decades * RANKS_PER_DECADE) + 2).round()
    small = np.arange(1, min(10, n_database) + 1)
    return np.unique(np.concatenate([small, spaced, [n_database]])).astype(np.int64)


def curves(histograms: Histograms) -> dict[str, np.ndarray]:
    """Return macro means over queries, a query with nothing retrieved or relevant counting 0.

    Parameters
    ----------
    histograms : Histograms

    Returns
    -------
    dict
        ``ranks``, ``rank_precision`` and ``rank_recall`` (expected values within ties), and
        ``radius_precision`` and ``radius_recall`` for Hamming radii 0 to n_bits.
    """
    ranks = rank_grid(histograms.n_database)
    hits = expected_hits(histograms, ranks)
    share = 1 / (np.maximum(histograms.n_relevant, 1) * len(hits))
    inside = np.cumsum(histograms.total, axis=1)
    found = np.cumsum(histograms.relevant, axis=1)
    return {
        "ranks": ranks,
        "rank_precision": hits.mean(axis=0) / ranks,
        "rank_recall": np.einsum("ij,i->j", hits, share),
        "radius_precision": (found / np.maximum(inside, 1)).mean(axis=0),
        "radius_recall": np.einsum("ij,i->j", found, share),
    }
