"""Naive metrics by definition: rankings are sorted, orders of ties are enumerated."""

from __future__ import annotations

import itertools

import numpy as np


def hamming(query_bits, database_bits):
    return (query_bits[:, None, :] != database_bits[None, :, :]).sum(axis=2)


def histograms(distances, relevance, n_bits):
    """Count items and relevant items at each distance, by definition."""
    total = np.zeros((len(distances), n_bits + 1), np.int64)
    relevant = np.zeros_like(total)
    for i, (row, rel) in enumerate(zip(distances, relevance, strict=True)):
        np.add.at(total[i], row, 1)
        np.add.at(relevant[i], row, rel)
    return total, relevant


def ranked_value(name, ranked, k, n_relevant):
    """Return the value of a metric on one ranked list of 0 and 1."""
    ranked = np.asarray(ranked, float)
    k = len(ranked) if k is None else min(k, len(ranked))
    top = ranked[:k]
    precisions = np.cumsum(top) / np.arange(1, k + 1)
    gathered = float((precisions * top).sum())
    if name == "P":
        return float(top.mean())
    if name == "R":
        return float(top.sum()) / n_relevant if n_relevant else 0.0
    if name == "success":
        return float(top.any())
    if name == "MRR":
        return 1 / (float(np.argmax(top)) + 1) if top.any() else 0.0
    divisor = {"hits": top.sum(), "min": min(k, n_relevant), "all": n_relevant}[name]
    return gathered / divisor if divisor else 0.0


def over_all_orders(name, total, relevant, k):
    """Return mean, smallest and largest value over every order of the ties of one query.

    Only which places of a group are relevant matters, so those choices are enumerated: all equally likely.
    """
    groups = [
        [[int(place in chosen) for place in range(n)] for chosen in itertools.combinations(range(n), r)]
        for n, r in zip(total, relevant, strict=True)
    ]
    values = [
        ranked_value(name, list(itertools.chain(*order)), k, int(sum(relevant))) for order in itertools.product(*groups)
    ]
    return float(np.mean(values)), min(values), max(values)


def graded_value(name, ranked, k, ideal):
    """Return the value of a graded metric on one ranked list of numbers of shared labels.

    ``ideal`` holds the same numbers in descending order.
    """
    top = np.asarray(ranked, float)[:k]
    if name == "ACG":
        return float(top.mean())
    if name == "wmAP":
        mean_gains = np.cumsum(top) / np.arange(1, len(top) + 1)
        return float(mean_gains[top > 0].mean()) if (top > 0).any() else 0.0
    gain = {"linear": lambda shared: shared, "exponential": lambda shared: 2.0**shared - 1}[name]
    discount = 1 / np.log2(np.arange(2, len(top) + 2))
    best = (gain(np.asarray(ideal, float)[:k]) * discount).sum()
    return float((gain(top) * discount).sum() / best) if best else 0.0


def over_all_graded_orders(name, groups, k):
    """Return the mean value over every order of the ties; groups are lists of numbers of shared labels."""
    ideal = sorted(itertools.chain(*groups), reverse=True)
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return float(np.mean([graded_value(name, list(itertools.chain(*order)), k, ideal) for order in orders]))
