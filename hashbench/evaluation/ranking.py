"""Average precision and its kin from distance histograms, exact over ties, one compiled loop per metric.

A group holds the items at one distance: n of them, r relevant; N and R count the items and the relevant items
in all nearer groups. The inner sums over a group's places need no loop: with the harmonic numbers H,

    sum_{t=1..n} 1 / (N + t) = H(N + n) − H(N)   and   sum_{t=1..n} (t − 1) / (N + t) = n − (N + 1) (H(N + n) − H(N)).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

TABLE_SIZE = 65536


def _harmonic_table() -> np.ndarray:
    """Return H(0), …, H(65536), each correctly rounded."""
    total, rest = 0.0, 0.0
    table = np.empty(TABLE_SIZE + 1)
    table[0] = 0.0
    for k in range(1, TABLE_SIZE + 1):  # compensated summation (Neumaier)
        term = 1.0 / k
        new = total + term
        rest += (total - new) + term if total >= term else (term - new) + total
        total = new
        table[k] = total + rest
    return table


HARMONIC = _harmonic_table()


@njit(cache=True)
def reciprocal_sums(before, n):
    """Return sum 1/(N+t) and sum (t−1)/(N+t) over t = 1..n, for N = ``before``, to within a few ulps.

    A group that is short beside its place is summed by a series around its middle, where the closed forms
    above would cancel; others take a table of H to 2^16 and the asymptotic expansion beyond.
    """
    if n <= 0:
        return 0.0, 0.0
    if n == 1:
        return 1.0 / (before + 1.0), 0.0
    middle = before + 0.5 * (n + 1.0)
    if n <= 0.02 * middle:
        square = float(n) * n
        moment2 = n * (square - 1.0) / 12.0
        moment4 = moment2 * (3.0 * square - 7.0) / 20.0
        moment6 = moment2 * (3.0 * square * square - 18.0 * square + 31.0) / 112.0
        inverse = 1.0 / (middle * middle)
        even = inverse * (moment2 + inverse * (moment4 + inverse * moment6))
        first = (n + even) / middle
        return first, 0.5 * (n - 1.0) * first - even
    if before + n <= TABLE_SIZE:
        first = HARMONIC[before + n] - HARMONIC[before]
    elif before == 0:
        first = _harmonic(float(n))
    else:
        first = math.log1p(n / before) + _tail(before + n) - _tail(before)
        if before < 1000:
            first = _harmonic(float(before + n)) - HARMONIC[before]
    return first, n - (before + 1.0) * first


@njit(cache=True)
def _tail(x):
    """Return H(x) − log(x) − γ by its asymptotic series."""
    inverse = 1.0 / x
    square = inverse * inverse
    return inverse * (0.5 - inverse * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0)))


@njit(cache=True)
def _harmonic(x):
    return math.log(x) + 0.57721566490153286061 + _tail(x)


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
            found = 0.0
        elif order == 1:
            found = (value + _leading(before, hits, h)) / (hits + h)
        else:
            found = (value + _leading(before + m - h, hits, h)) / (hits + h)
        if best < 0 or (order == 1 and found > best) or (order == -1 and found < best):
            best = found
    return best


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
            inside, found = 0, 0
            for d in range(total.shape[1]):
                inside += total[i, d]
                found += relevant[i, d]
                by_radius[chunk, 0, d] += found / max(inside, 1)
                by_radius[chunk, 1, d] += found * share
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
    for place in range(1, depth + 1):
        discounts[place] = discounts[place - 1] + 1.0 / math.log2(place + 1.0)
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
