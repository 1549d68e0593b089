"""Hits, first hits and curves from distance histograms, exact over ties, one compiled loop per metric."""

from __future__ import annotations

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
def hits_within(total, relevant, depths, out):
    """Count the relevant items expected among the first ``depths[i]`` of each query i.

    Parameters
    ----------
    total, relevant : ndarray of shape (n_queries, n_levels), int64
    depths : ndarray of shape (n_queries,), int64
    out : ndarray of shape (n_queries,), float64
        Written to.
    """
    for i in prange(len(total)):
        before, hits, d = 0, 0, 0
        while d < total.shape[1] and before + total[i, d] <= depths[i]:
            before += total[i, d]
            hits += relevant[i, d]
            d += 1
        out[i] = hits
        if d < total.shape[1] and depths[i] > before:
            out[i] += (depths[i] - before) * (relevant[i, d] / total[i, d])


@njit(parallel=True, cache=True)
def hit_chance(total, relevant, k, out):
    """Take the chance of a relevant item among the first k, all orders of ties equally likely.

    In the group that k cuts, m places miss r relevant items among n with the chance C(n − r, m) / C(n, m), a product
    of min(r, m) fractions.

    Parameters are those of `hits_within`, with one ``k`` for all queries.
    """
    for i in prange(len(total)):
        before, d, hit = 0, 0, False
        while d < total.shape[1] and not hit and before + total[i, d] <= k:
            hit = relevant[i, d] > 0
            before += total[i, d]
            d += 1
        missed = 0.0 if hit else 1.0
        if not hit and d < total.shape[1] and before < k:
            n, r, m = total[i, d], relevant[i, d], k - before
            for j in range(min(r, m)):
                missed *= max(n - max(r, m) - j, 0) / (n - j)
        out[i] = 1.0 - missed


@njit(parallel=True, cache=True)
def reciprocal_rank(total, relevant, k, out):
    """Take the expected reciprocal of the first relevant item's rank, 0 where that is beyond k.

    In the first group with relevant items the first of them is at place t + 1 with a chance that is the one of place
    t times (n − t − r + 1) / (n − t).

    Parameters are those of `hit_chance`.
    """
    for i in prange(len(total)):
        before, d = 0, 0
        while d < total.shape[1] and relevant[i, d] == 0:
            before += total[i, d]
            d += 1
        out[i] = 0.0
        if d < total.shape[1]:
            n, r = total[i, d], relevant[i, d]
            chance, value = r / n, 0.0
            for t in range(1, min(n - r + 1, k - before) + 1):
                value += chance / (before + t)
                chance *= (n - t - r + 1.0) / (n - t)
                if chance < 1e-20:
                    break
            out[i] = value
