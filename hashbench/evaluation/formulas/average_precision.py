"""Average precision from distance histograms, exact over ties, one compiled loop per metric.

A group holds the items at one distance: n of them, r relevant; N and R count the items and the relevant items
in all nearer groups. The inner sums over a group's places need no loop, see `harmonic`.

Weighted average precision counts a gain where plain average precision counts 1: S is the gain of all nearer groups, g
the mean gain of a group's relevant items. With S = R and g = 1 it is average precision, so both share these functions.
"""

from __future__ import annotations

from numba import njit, prange

from hashbench.evaluation.formulas.harmonic import reciprocal_sums


@njit(cache=True)
def _group(before, gained, n, r, gain, places):
    """Return the expected sum of precisions at a group's relevant places 1..places, all orders equally likely.

    ``gained`` is S and ``gain`` is g.
    """
    first, second = reciprocal_sums(before, places)
    slope = (r - 1.0) / (n - 1.0) if n > 1 else 0.0
    return r / n * ((gained + gain) * first + slope * gain * second)


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
                    value += _group(before, hits, n, r, 1.0, n)
                elif order == 1:
                    value += _leading(before, hits, r)
                else:
                    value += _leading(before + n - r, hits, r)
            before += n
            hits += r
        out[i] = value / n_relevant[i] if n_relevant[i] > 0 else 0.0


@njit(parallel=True, cache=True)
def ap_at(total, relevant, n_relevant, k, divisor, order, out):
    """Average precision at k.

    Parameters are those of `ap_all`; ``k`` is the cut-off, ``divisor`` is 0: the hits in the top k; 1: min(k, all
    relevant); 2: all relevant.
    """
    for i in prange(len(total)):
        before, hits, value = 0, 0, 0.0
        d = 0
        while d < total.shape[1] and before + total[i, d] <= k:
            n, r = total[i, d], relevant[i, d]
            if r > 0:
                if order == 0:
                    value += _group(before, hits, n, r, 1.0, n)
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
        if divisor != 0:
            if r > 0:
                if order == 0:
                    value += _group(before, hits, n, r, 1.0, m)
                elif order == 1:
                    value += _leading(before, hits, min(m, r))
                else:
                    fewest = max(0, m - (n - r))
                    value += _leading(before + m - fewest, hits, fewest)
            # k beyond the database is k at its size.
            size = before if not cut else k
            bound = min(size, n_relevant[i]) if divisor == 1 else n_relevant[i]
            out[i] = value / bound if bound > 0 else 0.0
        elif r == 0:
            out[i] = value / hits if hits > 0 else 0.0
        elif order == 0:
            out[i] = _expected_by_hits(value, before, hits, hits, n, r, 1.0, m)
        else:
            out[i] = _extreme_by_hits(value, before, hits, n, r, m, order)


@njit(cache=True)
def _expected_by_hits(value, before, hits, gained, n, r, gain, m):
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
        expected += weight * _cut_value(value, hits, gained, h, gain, m, first, second)
        weight *= (r - h) / (h + 1.0) * ((m - h) / (n - r - m + h + 1.0))
        if weight < 1e-20:
            break
    weight = 1.0
    for h in range(mode - 1, low - 1, -1):
        weight *= (h + 1.0) / (r - h) * ((n - r - m + h + 1.0) / (m - h))
        if weight < 1e-20:
            break
        mass += weight
        expected += weight * _cut_value(value, hits, gained, h, gain, m, first, second)
    return expected / mass


@njit(cache=True)
def _cut_value(value, hits, gained, h, gain, m, first, second):
    if hits + h == 0:
        return 0.0
    slope = (h - 1.0) / (m - 1.0) if m > 1 else 0.0
    return (value + h / m * ((gained + gain) * first + slope * gain * second)) / (hits + h)


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


@njit(parallel=True, cache=True)
def weighted_ap_at(total, relevant, gains, k, out):
    """Weighted average precision at k: at each relevant place the mean gain up to it, averaged over the hits.

    Parameters
    ----------
    total, relevant : ndarray of shape (n_queries, n_levels), int64
    gains : ndarray of shape (n_queries, n_levels), int64
        The summed gain of the items at each level; above 0 for the relevant ones alone.
    k : int
        At most the size of the database.
    out : ndarray of shape (n_queries,), float64
        Expectation over tie orders, 0 without a hit; written to.
    """
    for i in prange(len(total)):
        before, hits, gained, value, d = 0, 0, 0, 0.0, 0
        while d < total.shape[1] and before + total[i, d] <= k:
            n, r = total[i, d], relevant[i, d]
            if r > 0:
                value += _group(before, gained, n, r, gains[i, d] / r, n)
            before += n
            hits += r
            gained += gains[i, d]
            d += 1
        if d < total.shape[1] and before < k and relevant[i, d] > 0:
            n, r = total[i, d], relevant[i, d]
            out[i] = _expected_by_hits(value, before, hits, gained, n, r, gains[i, d] / r, k - before)
        else:
            out[i] = value / hits if hits > 0 else 0.0
