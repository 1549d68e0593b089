"""Average precision from distance histograms, exact over ties, one compiled loop per metric.

A group holds the items at one distance: n of them, r relevant; N and R count the items and the relevant items
in all nearer groups. The inner sums over a group's places need no loop, see `harmonic`.
"""

from __future__ import annotations

from numba import njit, prange

from hashbench.evaluation.harmonic import reciprocal_sums


@njit(cache=True)
def _group(before, hits, n, r, places):
    """Return the expected sum of precisions at a group's relevant places 1..places, all orders equally likely."""
    first, second = reciprocal_sums(before, places)
    slope = (r - 1.0) / (n - 1.0) if n > 1 else 0.0
    return r / n * ((hits + 1.0) * first + slope * second)


@njit(cache=True)
def _leading(before, hits, r):
    """Return the sum of precisions where r relevant items follow each other right after ``before`` items."""
    return r - (before - hits) * reciprocal_sums(before, r)[0]


@njit(parallel=True, cache=True)
def ap_all(total, relevant, n_relevant, order, out):
    """Average precision over the whole database.

    Parameters
    ----------
    total, relevant : ndarray of shape (n_queries, n_levels), int64
    n_relevant : ndarray of shape (n_queries,), int64
        The denominators; a query with none gets 0.
    order : int
        0: expectation over tie orders; 1: relevant items first; −1: last.
    out : ndarray of shape (n_queries,), float64
        Written to.
    """
    for i in prange(len(total)):
        before, hits, value = 0, 0, 0.0
        for d in range(total.shape[1]):
            n, r = total[i, d], relevant[i, d]
            if r > 0:
                if order == 0:
                    value += _group(before, hits, n, r, n)
                elif order == 1:
                    value += _leading(before, hits, r)
                else:
                    value += _leading(before + n - r, hits, r)
            before += n
            hits += r
        out[i] = value / n_relevant[i] if n_relevant[i] > 0 else 0.0


@njit(parallel=True, cache=True)
def ap_at(total, relevant, n_relevant, k, by_hits, order, out):
    """Average precision at k, divided by the hits in the top k or by min(k, all relevant).

    Parameters are those of `ap_all`; ``k`` is the cut-off, ``by_hits`` chooses the denominator.
    """
    for i in prange(len(total)):
        before, hits, value = 0, 0, 0.0
        d = 0
        while d < total.shape[1] and before + total[i, d] <= k:
            n, r = total[i, d], relevant[i, d]
            if r > 0:
                if order == 0:
                    value += _group(before, hits, n, r, n)
                elif order == 1:
                    value += _leading(before, hits, r)
                else:
                    value += _leading(before + n - r, hits, r)
            before += n
            hits += r
            d += 1
        m = k - before
        cut = d < total.shape[1] and m > 0
        n = total[i, d] if cut else 0
        r = relevant[i, d] if cut else 0
        if not by_hits:
            if r > 0:
                if order == 0:
                    value += _group(before, hits, n, r, m)
                elif order == 1:
                    value += _leading(before, hits, min(m, r))
                else:
                    fewest = max(0, m - (n - r))
                    value += _leading(before + m - fewest, hits, fewest)
            # k beyond the database is k at its size.
            size = before if not cut else k
            bound = min(size, n_relevant[i])
            out[i] = value / bound if bound > 0 else 0.0
        elif r == 0:
            out[i] = value / hits if hits > 0 else 0.0
        elif order == 0:
            out[i] = _expected_by_hits(value, before, hits, n, r, m)
        else:
            out[i] = _extreme_by_hits(value, before, hits, n, r, m, order)


@njit(cache=True)
def _expected_by_hits(value, before, hits, n, r, m):
    """Average AP over the number h of hits among the m places cut from a group, h hypergeometric.

    The probabilities are built outwards from the mode: from the ends they would underflow.
    """
    first, second = reciprocal_sums(before, m)
    low, high = max(0, m - (n - r)), min(m, r)
    mode = min(max(((m + 1) * (r + 1)) // (n + 2), low), high)
    mass, expected = 0.0, 0.0
    weight = 1.0
    for h in range(mode, high + 1):
        mass += weight
        expected += weight * _cut_value(value, hits, h, m, first, second)
        weight *= (r - h) / (h + 1.0) * ((m - h) / (n - r - m + h + 1.0))
        if weight < 1e-20:
            break
    weight = 1.0
    for h in range(mode - 1, low - 1, -1):
        weight *= (h + 1.0) / (r - h) * ((n - r - m + h + 1.0) / (m - h))
        if weight < 1e-20:
            break
        mass += weight
        expected += weight * _cut_value(value, hits, h, m, first, second)
    return expected / mass


@njit(cache=True)
def _cut_value(value, hits, h, m, first, second):
    if hits + h == 0:
        return 0.0
    slope = (h - 1.0) / (m - 1.0) if m > 1 else 0.0
    return (value + h / m * ((hits + 1.0) * first + slope * second)) / (hits + h)


@njit(cache=True)
def _extreme_by_hits(value, before, hits, n, r, m, order):
    """Return the largest or smallest AP over the admissible hits in the cut group: more hits can lower it."""
    low, high = max(0, m - (n - r)), min(m, r)
    best = -1.0
    for h in range(low, high + 1):
        if hits + h == 0:
            precision = 0.0
        elif order == 1:
            precision = (value + _leading(before, hits, h)) / (hits + h)
        else:
            precision = (value + _leading(before + m - h, hits, h)) / (hits + h)
        if best < 0 or (order == 1 and precision > best) or (order == -1 and precision < best):
            best = precision
    return best
