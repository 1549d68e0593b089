"""Metrics that look at the first relevant item alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import ranking
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class SuccessAt(Metric):
    """Hit rate: whether anything relevant is among the first k."""

    pattern = r"success@(?P<k>\d+)"
    forms = "success@k"
    title = "Queries with a relevant item among the first k"
    examples = ("success@3",)

    k: int

    def __str__(self) -> str:
        return f"success@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return each query's chance of a hit, all orders of ties equally likely."""
        out = np.empty(len(histograms.total))
        ranking.hit_chance(histograms.total, histograms.relevant, self.k, out)
        return out


@dataclass(frozen=True, repr=False)
class MRR(Metric):
    """Mean reciprocal rank of the first relevant item, 0 where it is beyond k.

    Attributes
    ----------
    k : int or None
        Cut-off; None for the whole database.
    """

    pattern = r"MRR@(?P<k>all|\d+)"
    forms = "MRR@k, MRR@all"
    title = "Mean reciprocal rank of the first relevant item"
    examples = ("MRR@all", "MRR@4")

    k: int | None = None

    def __str__(self) -> str:
        return f"MRR@{'all' if self.k is None else self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected reciprocal rank of each query."""
        out = np.empty(len(histograms.total))
        k = min(self.k or histograms.n_database, histograms.n_database)
        ranking.reciprocal_rank(histograms.total, histograms.relevant, k, out)
        return out
