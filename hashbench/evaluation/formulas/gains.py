"""Cumulative gains from histograms by distance and grade, exact over ties (numba, all cores)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def ndcg_at(shared, gains, k, out):
    """Normalised discounted cumulative gain at k, expectation over tie orders.

    Parameters
    ----------
    shared : ndarray of shape (n_queries, n_levels, max_shared + 1), int64
        Items by distance and number of shared labels.
    gains : ndarray of shape (max_shared + 1,), float64
        Gain of an item by its number of shared labels, ascending from 0.
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
                gain += shared[i, d, s] * gains[s]
            if n > 0 and before < depth:
                gained += gain / n * (discounts[min(depth, before + n)] - discounts[before])
            before += n
        ideal, before = 0.0, 0
        for s in range(shared.shape[2] - 1, 0, -1):
            n = 0
            for d in range(shared.shape[1]):
                n += shared[i, d, s]
            ideal += gains[s] * (discounts[min(depth, before + n)] - discounts[min(depth, before)])
            before += n
        out[i] = gained / ideal if ideal > 0 else 0.0
