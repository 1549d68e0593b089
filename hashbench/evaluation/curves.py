"""The curves that a record keeps: precision and recall over ranks and over radii."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.integrate import trapezoid

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import ranking

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
    n_queries, n_levels = histograms.total.shape
    n_chunks = -(-n_queries // 64)
    by_rank, by_radius = np.zeros((n_chunks, 2, len(ranks))), np.zeros((n_chunks, 2, n_levels))
    ranking.curve_sums(histograms.total, histograms.relevant, histograms.n_relevant, ranks, by_rank, by_radius)
    rank_precision, rank_recall = by_rank.sum(axis=0) / n_queries
    radius_precision, radius_recall = by_radius.sum(axis=0) / n_queries
    return {
        "ranks": ranks,
        "rank_precision": rank_precision,
        "rank_recall": rank_recall,
        "radius_precision": radius_precision,
        "radius_recall": radius_recall,
    }


def at_equal_recall(seeds: Sequence[Mapping[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the precisions of several seeds at the same recalls, which they reach at different ranks.

    Parameters
    ----------
    seeds : sequence of mapping from str to ndarray
        Each from `curves`, over the same ranks.

    Returns
    -------
    recall : ndarray of shape (n_ranks,), float64
        The mean over seeds at each rank.
    precision : ndarray of shape (n_seeds, n_ranks), float64
        Of each seed there, interpolated linearly.
    """
    recall = np.mean([seed["rank_recall"] for seed in seeds], axis=0)
    precision = [np.interp(recall, seed["rank_recall"], seed["rank_precision"]) for seed in seeds]
    return recall, np.array(precision)


def pooled_curve(histograms: Histograms) -> tuple[np.ndarray, np.ndarray, float]:
    """Return precision and recall within each Hamming radius with all queries' items in one pool, and their area.

    Unlike in the means of `curves`, a query counts by how much it retrieves and by how much is relevant to it.

    Parameters
    ----------
    histograms : Histograms

    Returns
    -------
    precision, recall : ndarray of shape (n_levels,), float64
        For radii 0 to n_bits; precision is 0 where no query retrieves anything, recall where nothing is relevant.
    area : float
        Under precision over recall by the trapezoid rule, from recall 0 with the precision of the smallest radius
        that retrieves anything.
    """
    retrieved, hits = (np.cumsum(table.sum(axis=0)) for table in (histograms.total, histograms.relevant))
    precision = hits / np.maximum(retrieved, 1)
    recall = hits / max(int(histograms.n_relevant.sum()), 1)
    some = retrieved > 0
    area = trapezoid(np.append(precision[some][0], precision[some]), np.append(0.0, recall[some]))
    return precision, recall, float(area)
