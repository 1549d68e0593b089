"""The Pareto front: what nothing else beats in both cost and score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def pareto_front(costs: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """Return which points no other one beats: as cheap and as good, and one of the two strictly.

    Parameters
    ----------
    costs, scores : array-like of shape (n,), float
        Lower costs and higher scores are better.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    costs, scores = np.asarray(costs, float)[:, None], np.asarray(scores, float)[:, None]
    no_worse = (costs >= costs.T) & (scores <= scores.T)
    better = (costs > costs.T) | (scores < scores.T)
    return np.logical_not((no_worse & better).any(axis=1))
