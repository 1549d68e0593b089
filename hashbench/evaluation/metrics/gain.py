"""Metrics with graded relevance: how many labels an item shares with the query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.evaluation import ranking
from hashbench.evaluation.histograms import Histograms
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class NDCG(Metric):
    """Normalised discounted cumulative gain at k for multi-label data, gain 2^(shared labels) − 1."""

    pattern = r"nDCG@(?P<k>\d+)"
    forms = "nDCG@k"
    graded = True

    k: int

    def __str__(self) -> str:
        return f"nDCG@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected nDCG of each query.

        Raises
        ------
        ValueError
            The histograms carry no counts of shared labels.
        """
        if histograms.shared is None:
            raise ValueError(f"{self} needs multi-label data: single labels have no grades")
        out = np.empty(len(histograms.total))
        ranking.ndcg_at(histograms.shared, self.k, out)
        return out
