"""Metrics with graded relevance: how many labels an item shares with the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import gains, ranking
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class NDCG(Metric):
    """Normalised discounted cumulative gain at k, discount 1 / log2(rank + 1).

    Where relevance is yes or no, by classes or neighbours, both gains are 1 and 0.

    Attributes
    ----------
    k : int
    gain : {"exponential", "linear"}
        2^(shared labels) − 1, or the number of shared labels.
    """

    pattern = r"nDCG@(?P<k>\d+)(\((?P<gain>linear)\))?"
    forms = "nDCG@k, nDCG@k(linear)"
    title = "Normalised discounted cumulative gain"
    examples = ("nDCG@4", "nDCG@4(linear)")
    graded = True

    k: int
    gain: Literal["exponential", "linear"] = "exponential"

    def __str__(self) -> str:
        return f"nDCG@{self.k}" + ("" if self.gain == "exponential" else f"({self.gain})")

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected nDCG of each query.

        Raises
        ------
        ValueError
            Items have several labels, and the shared labels were not counted.
        """
        grades = histograms.grades
        shared = np.arange(grades.shape[2], dtype=float)
        out = np.empty(len(grades))
        gains.ndcg_at(grades, shared if self.gain == "linear" else 2.0**shared - 1.0, self.k, out)
        return out


@dataclass(frozen=True, repr=False)
class ACG(Metric):
    """Average cumulative gain: the mean number of shared labels among the first k (or the whole database)."""

    pattern = r"ACG@(?P<k>\d+)"
    forms = "ACG@k"
    title = "Average cumulative gain"
    examples = ("ACG@4",)
    high = None
    unit = "shared labels"
    graded = True

    k: int

    def __str__(self) -> str:
        return f"ACG@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected value of each query; errors as of `NDCG`."""
        grades = histograms.grades
        k = min(self.k, histograms.n_database)
        out = np.empty((len(grades), 1))
        ranking.hits_at(histograms.total, grades @ np.arange(grades.shape[2]), np.array([k]), out)
        return out[:, 0] / k
