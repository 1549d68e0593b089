"""Hits, curves and gains from distance histograms, exact over ties, one compiled loop per metric."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def hits_at(total, relevant, ranks, out):
    """Count the relevant items expected among the first ``ranks[c]``, ranks ascending.

    Writes ``out`` of shape (n_queries, n_ranks), float64.
    """
    for i in prange(len(total)):
        before, hits, d = 0, 0, 0
        for c in range(len(ranks)):
            k = ranks[c]
            while d < total.shape[1] and before + total[i, d] <= k:
                before += total[i, d]
                hits += relevant[i, d]
                d += 1
            out[i, c] = hits
            if d < total.shape[1] and k > before:
                out[i, c] += (k - before) * (relevant[i, d] / total[i, d])


@njit(parallel=True, cache=True)
def curve_sums(total, relevant, n_relevant, ranks, by_rank, by_radius):
    """Sum precision and recall over queries, by rank and by radius.

    Sums are kept per 64 queries, so that their order, and so the last bit, does not depend on the threads.

    Parameters
    ----------
    total, relevant : ndarray of shape (n_queries, n_levels), int64
    n_relevant : ndarray of shape (n_queries,), int64
    ranks : ndarray of shape (n_ranks,), int64, ascending
    by_rank : ndarray of shape (ceil(n_queries / 64), 2, n_ranks), float64
        Expected precision and recall among the first ranks; added to.
    by_radius : ndarray of shape (ceil(n_queries / 64), 2, n_levels), float64
        Precision (0 where nothing is inside) and recall within the radii; added to.
    """
    for chunk in prange(len(by_rank)):
        for i in range(64 * chunk, min(len(total), 64 * chunk + 64)):
            share = 1.0 / max(n_relevant[i], 1)
            inside, hits = 0, 0
            for d in range(total.shape[1]):
                inside += total[i, d]
                hits += relevant[i, d]
                by_radius[chunk, 0, d] += hits / max(inside, 1)
                by_radius[chunk, 1, d] += hits * share
            before, hits, d = 0, 0, 0
            for c in range(len(ranks)):
                k = ranks[c]
                while d < total.shape[1] and before + total[i, d] <= k:
                    before += total[i, d]
                    hits += relevant[i, d]
                    d += 1
                expected = float(hits)
                if d < total.shape[1] and k > before:
                    expected += (k - before) * (relevant[i, d] / total[i, d])
                by_rank[chunk, 0, c] += expected / k
                by_rank[chunk, 1, c] += expected * share


@njit(parallel=True, cache=True)
def ndcg_at(shared, k, out):
    """Normalised discounted cumulative gain at k, gain 2^shared − 1, expectation over tie orders.

    Parameters
    ----------
    shared : ndarray of shape (n_queries, n_levels, max_shared + 1), int64
        Items by distance and number of shared labels.
    k : int
    out : ndarray of shape (n_queries,), float64
    """
    n_items = 0
    for d in range(shared.shape[1]):
        for s in range(shared.shape[2]):
            n_items += shared[0, d, s]
    depth = min(k, n_items)
    discounts = np.zeros(depth + 1)
    for rank in range(1, depth + 1):
        discounts[rank] = discounts[rank - 1] + 1.0 / math.log2(rank + 1.0)
    for i in prange(len(shared)):
        gained, before = 0.0, 0
        for d in range(shared.shape[1]):
            n, gain = 0, 0.0
            for s in range(shared.shape[2]):
                n += shared[i, d, s]
                gain += shared[i, d, s] * (2.0**s - 1.0)
            if n > 0 and before < depth:
                gained += gain / n * (discounts[min(depth, before + n)] - discounts[before])
            before += n
        ideal, before = 0.0, 0
        for s in range(shared.shape[2] - 1, 0, -1):
            n = 0
            for d in range(shared.shape[1]):
                n += shared[i, d, s]
            ideal += (2.0**s - 1.0) * (discounts[min(depth, before + n)] - discounts[min(depth, before)])
            before += n
        out[i] = gained / ideal if ideal > 0 else 0.0
