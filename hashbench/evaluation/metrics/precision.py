"""Precision and recall: among the first items, or within a Hamming radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import ranking
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class PrecisionAt(Metric):
    """Share of relevant items among the first k (or the whole database, where that is smaller)."""

    pattern = r"P@(?P<k>\d+)"
    forms = "P@k"
    title = "Precision among the first k"
    examples = ("P@4",)

    k: int

    def __str__(self) -> str:
        return f"P@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected precision of each query."""
        k = min(self.k, histograms.n_database)
        return expected_hits(histograms, np.array([k]))[:, 0] / k


@dataclass(frozen=True, repr=False)
class RecallAt(Metric):
    """Share of all relevant items that are among the first k."""

    pattern = r"R@(?P<k>\d+)"
    forms = "R@k"
    title = "Recall among the first k"
    examples = ("R@4",)

    k: int

    def __str__(self) -> str:
        return f"R@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected recall of each query."""
        return ratio(expected_hits(histograms, np.array([self.k]))[:, 0], histograms.n_relevant)


@dataclass(frozen=True, repr=False)
class Lookup(Metric):
    """Hash lookup: what a Hamming ball around the query's code returns.

    Attributes
    ----------
    radius : int
    what : {"P", "R", "success"}
        Precision (0 where nothing is returned), recall, or whether anything relevant is returned.
    """

    pattern = r"(?P<what>P|R|success)@r(?P<radius>\d+)"
    forms = "P@r2, R@r2, success@r2"
    title = "Precision, recall or success within a Hamming radius"
    examples = ("P@r2", "R@r2", "success@r2")
    by_radius = True

    radius: int
    what: Literal["P", "R", "success"]

    def __str__(self) -> str:
        return f"{self.what}@r{self.radius}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the value of each query."""
        hits = histograms.relevant[:, : self.radius + 1].sum(axis=1)
        if self.what == "P":
            return ratio(hits, histograms.total[:, : self.radius + 1].sum(axis=1))
        return ratio(hits, histograms.n_relevant) if self.what == "R" else (hits > 0).astype(float)


@dataclass(frozen=True, repr=False)
class RPrecision(Metric):
    """Precision among as many items as are relevant to the query."""

    pattern = "R-precision"
    forms = "R-precision"
    title = "Precision among as many items as are relevant"
    examples = ("R-precision",)

    def __str__(self) -> str:
        return "R-precision"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected value of each query."""
        out = np.empty(len(histograms.total))
        ranking.hits_within(histograms.total, histograms.relevant, histograms.n_relevant, out)
        return ratio(out, histograms.n_relevant)


def expected_hits(histograms: Histograms, ranks: np.ndarray) -> np.ndarray:
    """Return the expected number of relevant items among the first ranks, shape (n_queries, n_ranks).

    Parameters
    ----------
    histograms : Histograms
    ranks : ndarray of int64, ascending
    """
    out = np.empty((len(histograms.total), len(ranks)))
    ranking.hits_at(histograms.total, histograms.relevant, ranks, out)
    return out


def ratio(hits: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return hits / of, 0 where ``of`` is 0."""
    return np.divide(hits, of, out=np.zeros(len(hits)), where=of > 0)
