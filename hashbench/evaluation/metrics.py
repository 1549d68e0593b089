"""The field's metrics as value objects: each one's repr is its column name.

Every metric is a function of distance histograms and gives one value per query; a query without anything
relevant counts 0. Ties are taken in expectation over all their orders, unless the name says otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from hashbench.evaluation import ranking
from hashbench.evaluation.histograms import Histograms

VERSION = 1
"""Raised whenever a metric's value changes for the same codes."""

_ORDER = {"expected": 0, "optimistic": 1, "pessimistic": -1}


class Metric(Protocol):
    """What every metric can do."""

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return one value per query, float64."""
        ...


@dataclass(frozen=True, repr=False)
class MAP:
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

    k: int | None = None
    denominator: Literal["hits", "min(k,R)"] = "hits"
    ties: Literal["expected", "optimistic", "pessimistic"] = "expected"

    def __repr__(self) -> str:
        name = f"mAP@{self.k or 'all'}"
        name += "(min(k,R))" if self.k and self.denominator != "hits" else ""
        return name + (f"({self.ties})" if self.ties != "expected" else "")

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the average precision of each query."""
        out = np.empty(len(histograms.total))
        order = _ORDER[self.ties]
        tables = histograms.total, histograms.relevant, histograms.n_relevant
        if self.k is None:
            ranking.ap_all(*tables, order, out)
        else:
            k = min(self.k, histograms.n_database)
            ranking.ap_at(*tables, k, self.denominator == "hits", order, out)
        return out


@dataclass(frozen=True, repr=False)
class PrecisionAt:
    """Share of relevant items among the first n (or the whole database, where that is smaller)."""

    n: int

    def __repr__(self) -> str:
        return f"P@{self.n}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected precision of each query."""
        n = min(self.n, histograms.n_database)
        return expected_hits(histograms, np.array([n]))[:, 0] / n


@dataclass(frozen=True, repr=False)
class RecallAt:
    """Share of all relevant items that lie among the first n."""

    n: int

    def __repr__(self) -> str:
        return f"R@{self.n}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected recall of each query."""
        return _ratio(expected_hits(histograms, np.array([self.n]))[:, 0], histograms.n_relevant)


@dataclass(frozen=True, repr=False)
class Lookup:
    """Hash lookup: what a Hamming ball around the query's code returns.

    Attributes
    ----------
    radius : int
    what : {"P", "R", "success"}
        Precision (0 where nothing is returned), recall, or whether anything relevant is returned.
    """

    radius: int
    what: Literal["P", "R", "success"]

    def __repr__(self) -> str:
        return f"{self.what}@r{self.radius}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the value of each query."""
        hits = histograms.relevant[:, : self.radius + 1].sum(axis=1)
        if self.what == "P":
            return _ratio(hits, histograms.total[:, : self.radius + 1].sum(axis=1))
        return _ratio(hits, histograms.n_relevant) if self.what == "R" else (hits > 0).astype(float)


@dataclass(frozen=True, repr=False)
class NDCG:
    """Normalised discounted cumulative gain at k for multi-label data, gain 2^(shared labels) − 1."""

    k: int

    def __repr__(self) -> str:
        return f"nDCG@{self.k}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected nDCG of each query.

        Raises
        ------
        ValueError
            The histograms carry no counts of shared labels.
        """
        if histograms.shared is None:
            raise ValueError(f"{self!r} needs multi-label data: single labels have no grades")
        out = np.empty(len(histograms.total))
        ranking.ndcg_at(histograms.shared, self.k, out)
        return out


@dataclass(frozen=True, repr=False)
class NeighborRecall:
    """Share of the k true nearest neighbours that lie among the first retrieved.

    Attributes
    ----------
    k : int
    among : int, optional
        How many items are retrieved, at least k; k by default. More are retrieved where they are ranked again by
        the vectors themselves.
    """

    k: int
    among: int | None = None

    def __repr__(self) -> str:
        return f"recall@{self.k}" if self.among is None else f"recall{self.k}@{self.among}"

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected recall of each query.

        Raises
        ------
        ValueError
            Relevance is not given by true neighbours.
        """
        if self.k not in histograms.nearest:
            raise ValueError(f"{self!r} needs at least {self.k} true neighbours per query")
        out = np.empty((len(histograms.total), 1))
        retrieved = min(self.among or self.k, histograms.n_database)
        ranking.hits_at(histograms.total, histograms.nearest[self.k], np.array([retrieved]), out)
        return out[:, 0] / min(self.k, histograms.n_database)


def expected_hits(histograms: Histograms, ranks: np.ndarray) -> np.ndarray:
    """Return the expected number of relevant items among the first ranks, shape (n_queries, n_ranks).

    Parameters
    ----------
    ranks : ndarray of int64, ascending
    """
    out = np.empty((len(histograms.total), len(ranks)))
    ranking.hits_at(histograms.total, histograms.relevant, ranks, out)
    return out


def _ratio(hits: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(hits, of, out=np.zeros(len(hits)), where=of > 0)


_PATTERN = re.compile(
    r"(?P<map>mAP@(?P<map_k>all|\d+)(?P<minkr>\(min\(k,R\)\))?(?P<ties>\((optimistic|pessimistic)\))?)"
    r"|(?P<what>P|R|success)@r(?P<radius>\d+)"
    r"|(?P<kind>P|R|nDCG|recall)@(?P<n>\d+)"
    r"|recall(?P<k>\d+)@(?P<among>\d+)"
)


_BY_KIND: dict[str, Callable[[int], Metric]] = {
    "P": PrecisionAt,
    "R": RecallAt,
    "nDCG": NDCG,
    "recall": NeighborRecall,
}


def parse(name: str) -> Metric:
    """Return the metric of a column name, such as ``mAP@1000``, ``P@100`` or ``recall@10``.

    Raises
    ------
    ValueError
        No metric has that name, or its cut-off is below 1.
    """
    match = _PATTERN.fullmatch(name)
    if match is None:
        raise ValueError(
            f"unknown metric {name!r}: expected mAP@k, mAP@all, mAP@k(min(k,R)), each also with (optimistic) or "
            "(pessimistic), P@N, R@N, P@r2, R@r2, success@r2, nDCG@k, recall@k or recallk@N"
        )
    cutoff = match["n"] or match["k"] or (match["map_k"] if match["map_k"] != "all" else None)
    if cutoff is not None and int(cutoff) < 1:
        raise ValueError(f"{name}: the cut-off must be at least 1")
    if match["map"]:
        ties = match["ties"].strip("()") if match["ties"] else "expected"
        return MAP(int(cutoff) if cutoff else None, "min(k,R)" if match["minkr"] else "hits", ties)  # type: ignore[arg-type]
    if match["radius"]:
        return Lookup(int(match["radius"]), match["what"])  # type: ignore[arg-type]
    if match["k"]:
        if int(match["among"]) <= int(match["k"]):
            raise ValueError(f"{name}: more than {match['k']} must be retrieved; recall@k is k among k")
        return NeighborRecall(int(match["k"]), int(match["among"]))
    return _BY_KIND[match["kind"]](int(match["n"]))


def headline(names: Iterable[str]) -> list[str]:
    """Return the metrics that get a table and a figure of their own, smallest cut-off first.

    Where true neighbours are relevant these are the recalls, else the mean average precisions.
    """
    recalls: dict[str, tuple[float, int]] = {}
    precisions: dict[str, tuple[float, int]] = {}
    for name in names:
        metric = parse(name)
        if isinstance(metric, NeighborRecall):
            recalls[name] = metric.k, metric.among or 0
        elif isinstance(metric, MAP):
            precisions[name] = metric.k or math.inf, 0
    shown = recalls or precisions
    return sorted(shown, key=shown.__getitem__)
