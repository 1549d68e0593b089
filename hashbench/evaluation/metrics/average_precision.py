"""Mean average precision and its conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation import average_precision
from hashbench.evaluation.histograms import Histograms
from hashbench.evaluation.metrics.base import Metric

ORDER = {"expected": 0, "optimistic": 1, "pessimistic": -1}


@dataclass(frozen=True, repr=False)
class MAP(Metric):
    """Mean average precision at k, or over the whole database.

    Attributes
    ----------
    k : int or None
        Cut-off; None for the whole database.
    denominator : {"hits", "min(k,R)"}
        By what a query's sum is divided: the hits in its top k (what CIBHash's and DeepHash's scripts do), or
        the most hits that are possible. Without a cut-off both are all relevant items.
    ties : {"expected", "optimistic", "pessimistic"}
        How items at one distance are ranked: average over all orders, or the best or worst of them.
    """

    pattern = (
        r"mAP@(?P<k>all|\d+)(\((?P<denominator>min\(k,R\))\))?"
        r"(\((?P<ties>optimistic|pessimistic)\))?"
    )
    forms = "mAP@k, mAP@all, mAP@k(min(k,R)), each also with (optimistic) or (pessimistic)"

    k: int | None = None
    denominator: Literal["hits", "min(k,R)"] = "hits"
    ties: Literal["expected", "optimistic", "pessimistic"] = "expected"

    def __str__(self) -> str:
        divided = f"({self.denominator})" if self.k and self.denominator != "hits" else ""
        ties = f"({self.ties})" if self.ties != "expected" else ""
        return f"mAP@{self.k or 'all'}{divided}{ties}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the average precision of each query."""
        out = np.empty(len(histograms.total))
        order = ORDER[self.ties]
        tables = histograms.total, histograms.relevant, histograms.n_relevant
        if self.k is None:
            average_precision.ap_all(*tables, order, out)
        else:
            k = min(self.k, histograms.n_database)
            average_precision.ap_at(*tables, k, self.denominator == "hits", order, out)
        return out
