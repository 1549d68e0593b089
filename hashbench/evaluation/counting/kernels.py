"""Compiled loops over codes of any length: distances, their histograms, nearest items (numba, all cores).

Codes are word-major: ``words[w, j]`` is the w-th 64-bit word of item j, so that a loop over items reads
memory in order and vectorises. Histograms of codes up to 255 bits are counted faster in `bitplanes`.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic

from hashbench.evaluation.counting.codes import item_words

QUERY_BLOCK = 32
"""Queries that share one thread's scratch memory."""
TILE = 4096
"""Items whose distances stay in the first-level cache between being computed and being counted."""


@intrinsic
def popcount(typingctx, value):
    """Count the set bits of a uint64 with the processor's own instruction."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


@njit
def _distances(query, words, start, stop, buffer):
    """Write the Hamming distances of items start..stop to one query into ``buffer``."""
    n = stop - start
    first = query[0]
    row = words[0, start:stop]
    for j in range(n):
        buffer[j] = popcount(first ^ row[j])
    for w in range(1, len(query)):
        word = query[w]
        row = words[w, start:stop]
        for j in range(n):
            buffer[j] += popcount(word ^ row[j])


@njit
def _histogram(query, words, start, stop, out, buffer):
    """Add the distance histogram of items start..stop to ``out``."""
    for tile in range(start, stop, TILE):
        n = min(TILE, stop - tile)
        _distances(query, words, tile, tile + n, buffer)
        for j in range(n):
            out[buffer[j]] += 1


@njit(parallel=True, cache=True)
def histograms_by_class(queries, query_class, words, starts, total, relevant):
    """Add the distance histograms of a database that is ordered by class, for codes of any length.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    query_class : ndarray of shape (n_queries,), int64
        Position of the query's class in ``starts``; −1 where the database has no item of it.
    words : ndarray of shape (n_words, n_items), uint64
    starts : ndarray of shape (n_classes + 1,), int64
        Class c is at ``starts[c]:starts[c + 1]``: no label is ever compared.
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(TILE, np.uint16)
        same_class = np.empty(total.shape[1], np.int64)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            begin, end = 0, 0
            if query_class[i] >= 0:
                begin, end = starts[query_class[i]], starts[query_class[i] + 1]
            same_class[:] = 0
            _histogram(queries[i], words, begin, end, same_class, buffer)
            _histogram(queries[i], words, 0, begin, total[i], buffer)
            _histogram(queries[i], words, end, n_items, total[i], buffer)
            for d in range(len(same_class)):
                total[i, d] += same_class[d]
                relevant[i, d] += same_class[d]


@njit(parallel=True, cache=True)
def histograms_by_mask(queries, query_masks, words, masks, total, relevant):
    """Add the distance histograms of a multi-label database: items sharing a label are relevant.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    query_masks : ndarray of shape (n_queries, n_mask_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    masks : ndarray of shape (n_mask_words, n_items), uint64
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(TILE, np.uint16)
        shares = np.empty(TILE, np.uint8)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _distances(queries[i], words, tile, tile + n, buffer)
                _shares(query_masks[i], masks, tile, tile + n, shares)
                for j in range(n):
                    total[i, buffer[j]] += 1
                    relevant[i, buffer[j]] += shares[j]


@njit
def _shares(query_mask, masks, start, stop, shares):
    """Write 1 where an item shares a label with the query, else 0."""
    n = stop - start
    first = query_mask[0]
    row = masks[0, start:stop]
    for j in range(n):
        shares[j] = (first & row[j]) != 0
    for w in range(1, len(query_mask)):
        word = query_mask[w]
        row = masks[w, start:stop]
        for j in range(n):
            shares[j] |= (word & row[j]) != 0


@njit(parallel=True, cache=True)
def histograms_by_shared(queries, query_masks, words, masks, shared):
    """Add the joint histograms of distance and number of shared labels, for graded relevance.

    Parameters
    ----------
    queries, query_masks, words, masks : ndarray
        As in `histograms_by_mask`.
    shared : ndarray of shape (n_queries, n_bits + 1, max_shared + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(TILE, np.uint16)
        counts = np.empty(TILE, np.uint16)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _distances(queries[i], words, tile, tile + n, buffer)
                for j in range(n):
                    counts[j] = 0
                for w in range(masks.shape[0]):
                    word = query_masks[i, w]
                    row = masks[w, tile : tile + n]
                    for j in range(n):
                        counts[j] += popcount(word & row[j])
                for j in range(n):
                    shared[i, buffer[j], counts[j]] += 1


@njit(parallel=True, cache=True)
def histograms_of_items(queries, words, items, counts):
    """Add the distance histograms of listed items, such as each query's true neighbours.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    items : ndarray of shape (n_queries, k), int64
        Item numbers; negative ones are passed over.
    counts : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    for i in prange(len(queries)):
        for j in items[i]:
            if j >= 0:
                d = 0
                for w in range(words.shape[0]):
                    d += popcount(queries[i, w] ^ words[w, j])
                counts[i, d] += 1


def nearest(queries: np.ndarray, words: np.ndarray, n_bits: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest items of each query by Hamming distance, ties by item number.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    n_bits, k : int
        k at most n_items.

    Returns
    -------
    items : ndarray of shape (n_queries, k), int64
    distances : ndarray of shape (n_queries, k), int32

    Raises
    ------
    ValueError
        ``k`` is not from 1 to n_items, the codes' width does not fit ``n_bits``, or an item has a bit beyond it.
    """
    n_items = words.shape[1]
    if not 1 <= k <= n_items:
        raise ValueError(f"k={k}: expected 1 to {n_items}, the number of items")
    valid = item_words(np.packbits(np.ones((1, n_bits), bool), axis=1))[0]
    for name, rows in (("queries", queries), ("items", words.T)):
        if rows.shape[1] != len(valid):
            raise ValueError(f"{name} have {rows.shape[1]} words, expected {len(valid)} for {n_bits} bits")
        beyond = (rows[:, -1] & ~valid[-1]) != 0
        if beyond.any():
            raise ValueError(f"{name} have a bit beyond {n_bits} set in row {np.argmax(beyond)}")
    return _nearest(queries, words, n_bits, k)


@njit(parallel=True, cache=True)
def _nearest(queries, words, n_bits, k):
    """Do what `nearest` says, by a counting sort of the distances."""
    n_queries, n_items = len(queries), words.shape[1]
    items = np.empty((n_queries, k), np.int64)
    distances = np.empty((n_queries, k), np.int32)
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(n_items, np.uint16)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            _distances(queries[i], words, 0, n_items, buffer)
            rank = np.zeros(n_bits + 2, np.int64)
            for j in range(n_items):
                rank[buffer[j] + 1] += 1
            for d in range(1, n_bits + 2):
                rank[d] += rank[d - 1]
            limit = 0
            while rank[limit + 1] < k:
                limit += 1
            for j in range(n_items):
                d = buffer[j]
                if d <= limit and rank[d] < k:
                    items[i, rank[d]] = j
                    distances[i, rank[d]] = d
                    rank[d] += 1
    return items, distances
