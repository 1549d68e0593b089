"""Recall of true neighbours by the rows that a search has returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashbench.evaluation.metrics import NeighborRecall, parse


def recalls(rows: np.ndarray, neighbors: np.ndarray, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    """Return recalls by query.

    recallk@N is also recall@k after the first N rows are ranked by their vectors: of those rows, the true neighbours
    come first then. So one search gives every rescoring of up to as many candidates.

    Parameters
    ----------
    rows : ndarray of shape (n_queries, depth), int
        What a search returned, nearest first; at least as many as a metric looks at, or all rows of the database.
    neighbors : ndarray of shape (n_queries, n_neighbors), int
        True nearest neighbours, nearest first.
    metrics : sequence of str
        Names such as ``recall@10`` and ``recall10@100``.

    Returns
    -------
    dict from str to ndarray of shape (n_queries,), float64

    Raises
    ------
    ValueError
        A metric is not a recall of true neighbours, or a query has fewer true neighbours than a metric needs.
    """
    wanted = {name: parse(name) for name in metrics}
    most = 0
    for name, metric in wanted.items():
        if not isinstance(metric, NeighborRecall):
            raise ValueError(f"{name}: expected a recall of true neighbours, such as recall@10 or recall10@100")
        most = max(most, metric.k)
    if neighbors.shape[1] < most:
        raise ValueError(f"recall of {most} neighbours needs as many true ones, there are {neighbors.shape[1]}")
    ranks = _ranks(rows, neighbors[:, :most])
    return {
        name: (ranks[:, : metric.k] < (metric.among or metric.k)).mean(axis=1)
        for name, metric in wanted.items()
        if isinstance(metric, NeighborRecall)
    }


def _ranks(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Return each neighbour's rank among the rows of its query, from 0; the number of rows where it is not there."""
    ranks = np.full(neighbors.shape, rows.shape[1])
    for query, (found, true) in enumerate(zip(rows, neighbors, strict=True)):
        order = np.argsort(found)
        at = np.searchsorted(found, true, sorter=order).clip(0, len(found) - 1)
        hit = found[order[at]] == true
        ranks[query, hit] = order[at[hit]]
    return ranks
