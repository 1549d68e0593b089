"""A metric of some of the queries, against some of the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.metrics.base import Metric


@dataclass(frozen=True, repr=False)
class MetricReading(Metric):
    """A metric read by seen or unseen classes, such as ``mAP@all unseen@all``.

    Attributes
    ----------
    metric : Metric
    reading : str
        One of `hashbench.evaluation.readings.READINGS`.
    """

    metric: Metric
    reading: str

    def __post_init__(self) -> None:
        """Take over what the metric says of itself."""
        for name in ("better", "low", "high", "unit", "graded", "by_radius"):
            object.__setattr__(self, name, getattr(self.metric, name))
        object.__setattr__(self, "title", f"{self.metric.title}, {self.reading}")

    def __str__(self) -> str:
        return f"{self.metric} {self.reading}"

    @property
    def n_neighbors(self) -> int:
        """As many true neighbours as the metric asks for."""
        return self.metric.n_neighbors

    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Refuse: histograms do not say which classes they count.

        Raises
        ------
        ValueError
            Always; `hashbench.evaluate` computes the metric on the reading's queries and items.
        """
        raise ValueError(f"{self} needs classes: call hashbench.evaluate with unseen=")
