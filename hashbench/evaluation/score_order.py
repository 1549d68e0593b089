"""Ranking by real-valued scores: the order, the groups of equal scores, the best k (numba, all cores).

A row of scores is sorted without comparisons as far as a linear scale separates them: each becomes a
whole number from 0, the highest score, to 2^22 − 1 or 2^32 − 1, the lowest; a radix sort orders these, and the few
items that share one are ordered by their scores themselves. Equal scores keep the order of the rows.

It takes between a fifteenth and a quarter of the time of numpy's stable argsort (benchmarks/test_kernels.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hashbench.evaluation.counting.kernels import popcount

DIGIT = 11
"""Bits of a key that one pass of the radix sort looks at: 2,048 counters fit into the first-level cache."""
FEW = 2**20
"""Up to as many items 22-bit keys, two passes, leave few items together; beyond, 32-bit keys are used."""
SHORT = 32
"""Items that share a key are sorted by insertion up to this number."""
ROW = np.uint64(0xFFFFFFFF)


@njit(cache=True)
def _keys(scores, n_bits, words):
    """Write key and row of each item as one word: key in the upper half, row in the lower."""
    low, high = scores[0], scores[0]
    for score in scores:
        low, high = min(low, score), max(high, score)
    scale = (2.0**n_bits - 1.0) / (high - low) if high > low else 0.0
    if not scale < np.inf:
        scale = 0.0
    for j in range(len(scores)):
        words[j] = (np.uint64((high - scores[j]) * scale) << np.uint64(32)) | np.uint64(j)


@njit(cache=True)
def _radix_pass(words, shift, out):
    """Sort by one digit of the key, stable."""
    starts = np.zeros(2**DIGIT + 1, np.int64)
    mask = np.uint64(2**DIGIT - 1)
    for word in words:
        starts[np.int64((word >> shift) & mask) + 1] += 1
    for value in range(2**DIGIT):
        starts[value + 1] += starts[value]
    for word in words:
        digit = np.int64((word >> shift) & mask)
        out[starts[digit]] = word
        starts[digit] += 1


@njit(cache=True)
def _sort_run(scores, run):
    """Sort words of one key by descending score; they come, and equal scores stay, in the order of their rows."""
    if len(run) <= SHORT:
        for a in range(1, len(run)):
            word = run[a]
            score = scores[np.int64(word & ROW)]
            b = a - 1
            while b >= 0 and scores[np.int64(run[b] & ROW)] < score:
                run[b + 1] = run[b]
                b -= 1
            run[b + 1] = word
        return
    negative = np.empty(len(run))
    equal = True
    for a in range(len(run)):
        negative[a] = -scores[np.int64(run[a] & ROW)]
        equal = equal and negative[a] == negative[0]
    if not equal:
        run[:] = run[np.argsort(negative, kind="mergesort")]


@njit(cache=True)
def descending(scores, words, spare):
    """Return the rows from the highest score to the lowest, in the lower half of words; equal scores by row.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64, finite; n from 1 to 2^32
    words, spare : ndarray of shape (n,), uint64
        Overwritten; one of them is returned.
    """
    n_bits = 2 * DIGIT if len(scores) <= FEW else 32
    _keys(scores, n_bits, words)
    for first_bit in range(0, n_bits, DIGIT):
        _radix_pass(words, np.uint64(32 + first_bit), spare)
        words, spare = spare, words
    start = 0
    for stop in range(1, len(words) + 1):
        if stop == len(words) or words[stop] >> np.uint64(32) != words[start] >> np.uint64(32):
            if stop - start > 1:
                _sort_run(scores, words[start:stop])
            start = stop
    return words


@njit(parallel=True, cache=True)
def count_groups(scores, grades, counts, n_groups):
    """Count items by grade in the groups of equal scores, from the highest score to the lowest.

    Neighbouring groups whose items all have one and the same grade are counted as one: no order of them changes any
    value that depends on grades alone, so that a ranking takes at most 2 R + 1 groups where R grades are above 0.

    Parameters
    ----------
    scores : ndarray of shape (n_queries, n_items), float64
    grades : ndarray of shape (n_queries, n_items), uint16
    counts : ndarray of shape (n_grades, n_queries, n_levels), int64
        Zeros, with room for every group; added to.
    n_groups : ndarray of shape (n_queries,), int64
        Written to.
    """
    for i in prange(len(scores)):
        n_items = scores.shape[1]
        order = descending(scores[i], np.empty(n_items, np.uint64), np.empty(n_items, np.uint64))
        n_groups[i] = _groups(scores[i], grades[i], order, counts[:, i])


@njit(cache=True)
def _groups(scores, grades, order, counts):
    """Count one query's groups and return how many there are.

    Items of a score go to the group before as long as all have that group's one grade; with the first that has
    another, those of its score move on to a separate group.
    """
    group, pure, n_here, score = 0, np.int64(grades[np.int64(order[0] & ROW)]), 0, scores[np.int64(order[0] & ROW)]
    joined = False
    for word in order:
        row = np.int64(word & ROW)
        grade = np.int64(grades[row])
        if scores[row] != score:
            score, n_here = scores[row], 0
            joined = grade == pure
            if not joined:
                group, pure = group + 1, grade
        elif grade != pure:
            if joined:
                counts[pure, group] -= n_here
                counts[pure, group + 1] += n_here
                group, joined = group + 1, False
            pure = np.int64(-1)
        counts[grade, group] += 1
        n_here += 1
    return group + 1


@njit(parallel=True, cache=True)
def shared_labels(query_masks, masks, shared):
    """Write how many labels each item shares with each query.

    Parameters
    ----------
    query_masks : ndarray of shape (n_queries, n_words), uint64
    masks : ndarray of shape (n_words, n_items), uint64
    shared : ndarray of shape (n_queries, n_items), uint16
    """
    for i in prange(len(query_masks)):
        for j in range(masks.shape[1]):
            shared[i, j] = 0
        for w in range(len(masks)):
            word = query_masks[i, w]
            for j in range(masks.shape[1]):
                shared[i, j] += popcount(word & masks[w, j])


@njit(parallel=True, cache=True)
def keep_best(scores, first_row, n_known, best_scores, best_rows):
    """Merge a part of the database into each query's best items so far, higher scores first, equal ones by row.

    Parameters
    ----------
    scores : ndarray of shape (n_queries, n_items), float64
        Of rows ``first_row`` and on; the merged parts come in the order of their rows.
    first_row : int
    n_known : int
        How many best items there are so far: k, or all rows seen where those are fewer.
    best_scores, best_rows : ndarray of shape (n_queries, k), float64 and int64
        The first ``n_known`` columns are read; overwritten.
    """
    k = best_scores.shape[1]
    for i in prange(len(scores)):
        # A later row with the score of the last one kept comes after it.
        floor = best_scores[i, k - 1] if n_known == k else -np.inf
        rows = np.flatnonzero(scores[i] > floor)
        if len(rows) == 0:
            continue
        chosen = scores[i][rows]
        order = descending(chosen, np.empty(len(rows), np.uint64), np.empty(len(rows), np.uint64))
        old_scores, old_rows = best_scores[i, :n_known].copy(), best_rows[i, :n_known].copy()
        a, b = 0, 0
        for rank in range(min(k, n_known + len(rows))):
            new = np.int64(order[b] & ROW) if b < len(rows) else -1
            if a < n_known and (new < 0 or old_scores[a] >= chosen[new]):
                best_scores[i, rank], best_rows[i, rank] = old_scores[a], old_rows[a]
                a += 1
            else:
                best_scores[i, rank], best_rows[i, rank] = chosen[new], first_row + rows[new]
                b += 1
