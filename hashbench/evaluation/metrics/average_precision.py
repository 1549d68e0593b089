"""Mean average precision and its conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import average_precision
from hashbench.evaluation.metrics.base import Metric

ORDER = {"expected": 0, "optimistic": 1, "pessimistic": -1}
DIVISOR = {"hits": 0, "min(k,R)": 1, "R": 2}


@dataclass(frozen=True, repr=False)
class MAP(Metric):
    """Mean average precision at k, or over the whole database.

    Attributes
    ----------
    k : int or None
        Cut-off; None for the whole database.
    denominator : {"hits", "min(k,R)", "R"}
        By what a query's sum is divided: the hits in its top k (what CIBHash's and DeepHash's scripts do), the most
        hits that are possible, or all relevant items. Without a cut-off the three are one.
    ties : {"expected", "optimistic", "pessimistic"}
        How items at one distance are ranked: average over all orders, or the best or worst of them.
    """

    pattern = (
        r"mAP@(?P<k>all|\d+)(\((?P<denominator>min\(k,R\)|R)\))?"
        r"(\((?P<ties>optimistic|pessimistic)\))?"
    )
    forms = "mAP@k, mAP@all, mAP@k(min(k,R)), mAP@k(R), each also with (optimistic) or (pessimistic)"
    title = "Mean average precision"
    examples = ("mAP@all", "mAP@4", "mAP@4(min(k,R))", "mAP@4(R)")

    k: int | None = None
    denominator: Literal["hits", "min(k,R)", "R"] = "hits"
    ties: Literal["expected", "optimistic", "pessimistic"] = "expected"

    def __str__(self) -> str:
        divided = f"({self.denominator})" if self.k and self.denominator != "hits" else ""
        ties = f"({self.ties})" if self.ties != "expected" else ""
        return f"mAP@{'all' if self.k is None else self.k}{divided}{ties}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the average precision of each query."""
        out = np.empty(len(histograms.total))
        order = ORDER[self.ties]
        tables = histograms.total, histograms.relevant, histograms.n_relevant
        if self.k is None:
            average_precision.ap_all(*tables, order, out)
        else:
            k = min(self.k, histograms.n_database)
            average_precision.ap_at(*tables, k, DIVISOR[self.denominator], order, out)
        return out


@dataclass(frozen=True, repr=False)
class MAPWithin(Metric):
    """Mean average precision over the items within a Hamming radius, the others left out.

    Attributes
    ----------
    radius : int
    denominator : {"hits", "R"}
        By what a query's sum is divided: the relevant items inside the ball, or all relevant items.
    """

    pattern = r"mAP@r(?P<radius>\d+)(\((?P<denominator>R)\))?"
    forms = "mAP@r2, mAP@r2(R)"
    title = "Mean average precision within a Hamming radius"
    examples = ("mAP@r2", "mAP@r2(R)")
    by_radius = True

    radius: int
    denominator: Literal["hits", "R"] = "hits"

    def __str__(self) -> str:
        return f"mAP@r{self.radius}" + ("" if self.denominator == "hits" else f"({self.denominator})")

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected average precision of each query."""
        total, relevant = (table[:, : self.radius + 1] for table in (histograms.total, histograms.relevant))
        of = relevant.sum(axis=1) if self.denominator == "hits" else histograms.n_relevant
        out = np.empty(len(total))
        average_precision.ap_all(np.ascontiguousarray(total), np.ascontiguousarray(relevant), of, 0, out)
        return out


@dataclass(frozen=True, repr=False)
class WeightedMAP(Metric):
    """Weighted mean average precision for multi-label data, divided by the hits in the top k.

    At each relevant rank it takes not the precision but the mean number of labels that the items up to it share with
    the query (ACG). Zhao, Huang, Wang and Tan, Deep semantic ranking based hashing, CVPR 2015.

    Attributes
    ----------
    k : int or None
        Cut-off; None for the whole database.
    """

    pattern = r"wmAP@(?P<k>all|\d+)"
    forms = "wmAP@k, wmAP@all"
    title = "Weighted mean average precision"
    examples = ("wmAP@all", "wmAP@4")
    high = None
    unit = "shared labels"
    graded = True

    k: int | None = None

    def __str__(self) -> str:
        return f"wmAP@{'all' if self.k is None else self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected value of each query."""
        grades = histograms.grades
        out = np.empty(len(grades))
        k = min(self.k or histograms.n_database, histograms.n_database)
        gains = grades @ np.arange(grades.shape[2])
        average_precision.weighted_ap_at(histograms.total, histograms.relevant, gains, k, out)
        return out
