"""Average precision in stable order, as scripts that sort have it, but without a sort (numba, all cores).

Among items at one distance a stable sort keeps the database's order. An item's rank is therefore the number
of items in nearer groups, which the distance histograms know, plus one for each item of its own group up to
it: a counting sort whose sorted list is never written down. One pass over the database per query does it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hashbench.evaluation.counting.kernels import QUERY_BLOCK, TILE, _distances, _shares


@njit
def _start(total, relevant, seen, hit):
    """Set the counters of each distance to the items, and the relevant items, in nearer groups."""
    before, hits = 0, 0
    for d in range(len(total)):
        seen[d], hit[d] = before, hits
        before += total[d]
        hits += relevant[d]


@njit
def _score(distances, shares, n, seen, hit, cutoffs, sums, hits):
    """Rank a tile's items, the counters going on from the tile before, and add up precisions at hits."""
    for j in range(n):
        d = distances[j]
        seen[d] += 1
        if shares[j]:
            hit[d] += 1
            rank = seen[d]
            precision = hit[d] / rank
            for c in range(len(cutoffs)):
                if rank <= cutoffs[c]:
                    sums[c] += precision
                    hits[c] += 1


@njit(parallel=True, cache=True)
def stable_by_class(queries, query_labels, words, labels, total, relevant, cutoffs, sums, hits):
    """Sum the precisions at the relevant ranks up to each cut-off; items of the query's class are relevant.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    query_labels : ndarray of shape (n_queries,), int64
    words : ndarray of shape (n_words, n_items), uint64
        The database in the order that decides between equal distances.
    labels : ndarray of shape (n_items,), int64
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
        The distance histograms.
    cutoffs : ndarray of shape (n_cutoffs,), int64
    sums : ndarray of shape (n_queries, n_cutoffs), float64
    hits : ndarray of shape (n_queries, n_cutoffs), int64
        Number of relevant items up to each cut-off. Both are added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        distances = np.empty(TILE, np.uint16)
        shares = np.empty(TILE, np.uint8)
        seen = np.empty(total.shape[1], np.int64)
        hit = np.empty(total.shape[1], np.int64)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            _start(total[i], relevant[i], seen, hit)
            query_label = query_labels[i]
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _distances(queries[i], words, tile, tile + n, distances)
                row = labels[tile : tile + n]
                for j in range(n):
                    shares[j] = row[j] == query_label
                _score(distances, shares, n, seen, hit, cutoffs, sums[i], hits[i])


@njit(parallel=True, cache=True)
def stable_by_mask(queries, query_masks, words, masks, total, relevant, cutoffs, sums, hits):
    """Sum the precisions at the relevant ranks up to each cut-off; items that share a label are relevant.

    Parameters
    ----------
    query_masks : ndarray of shape (n_queries, n_mask_words), uint64
    masks : ndarray of shape (n_mask_words, n_items), uint64

    The other parameters are those of `stable_by_class`.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        distances = np.empty(TILE, np.uint16)
        shares = np.empty(TILE, np.uint8)
        seen = np.empty(total.shape[1], np.int64)
        hit = np.empty(total.shape[1], np.int64)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            _start(total[i], relevant[i], seen, hit)
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _distances(queries[i], words, tile, tile + n, distances)
                _shares(query_masks[i], masks, tile, tile + n, shares)
                _score(distances, shares, n, seen, hit, cutoffs, sums[i], hits[i])
