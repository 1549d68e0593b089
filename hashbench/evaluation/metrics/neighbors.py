"""Recall of true nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.formulas import ranking
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class NeighborRecall(Metric):
    """Share of the k true nearest neighbours that are among the first retrieved.

    Attributes
    ----------
    k : int
    among : int, optional
        How many items are retrieved, more than k; k by default. More are retrieved where they are ranked again by
        the vectors themselves.
    """

    pattern = r"recall(?P<k>\d*)@(?P<among>\d+)"
    forms = "recall@k, recallk@N"
    title = "Recall of true neighbours"
    examples = ("recall@5", "recall5@10")

    k: int
    among: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.among is not None and self.among <= self.k:
            raise ValueError(f"{self}: more than {self.k} must be retrieved; recall@k is k among k")

    def __str__(self) -> str:
        return f"recall@{self.k}" if self.among is None else f"recall{self.k}@{self.among}"

    @classmethod
    def from_groups(cls, groups: dict[str, str | None]) -> Metric:
        """Return recall@k, or k of it among more."""
        k, among = groups["k"], int(groups["among"] or 0)
        return cls(int(k), among) if k else cls(among)

    @property
    def n_neighbors(self) -> int:
        """The first k."""
        return self.k

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return the expected recall of each query.

        Raises
        ------
        ValueError
            Relevance is not given by true neighbours.
        """
        if self.k not in histograms.nearest:
            raise ValueError(f"{self} needs at least {self.k} true neighbours per query")
        out = np.empty((len(histograms.total), 1))
        retrieved = min(self.among or self.k, histograms.n_database)
        ranking.hits_at(histograms.total, histograms.nearest[self.k], np.array([retrieved]), out)
        return out[:, 0] / min(self.k, histograms.n_database)
