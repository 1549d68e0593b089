"""The base of all metrics: a value whose text is its column name, and which is made again from that text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np

from hashbench.errors import ContractError
from hashbench.evaluation.counting.histograms import Histograms

Better = Literal["higher", "lower"]
ROUNDING = 1e-9
"""How far a value may be outside its range, since floating-point sums are not exact."""


class Metric(ABC):
    """A ranking metric.

    A subclass is a frozen dataclass (``repr=False``) with ``__str__`` and `per_query`. Its fields are the groups of
    its ``pattern``; a group that is missing, or ``all``, leaves its field at the default.

    Attributes
    ----------
    pattern : str
        Regular expression of its names.
    forms : str
        Its names, for people, such as ``P@N``.
    examples : tuple of str
        Some of its names; the checks compute them.
    title : str
        What it is, in a few words.
    better : {"higher", "lower"}
        Which values are better.
    low, high : float or None
        The range of its values per query; None where there is no bound.
    unit : str
        What its values count, such as ``rank``; empty for shares.
    graded : bool
        Whether it needs counts of shared labels where items have several.
    by_radius : bool
        Whether it asks for items within a Hamming radius.
    expected_failures : dict from str to str
        Names of checks that it fails, with reasons.
    """

    pattern: ClassVar[str]
    forms: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]
    title: ClassVar[str]
    better: ClassVar[Better] = "higher"
    low: ClassVar[float | None] = 0.0
    high: ClassVar[float | None] = 1.0
    unit: ClassVar[str] = ""
    graded: ClassVar[bool] = False
    by_radius: ClassVar[bool] = False
    expected_failures: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        cutoff = getattr(self, "k", None)
        if cutoff is not None and cutoff < 1:
            raise ValueError(f"{self}: the cut-off must be at least 1")

    @abstractmethod
    def __str__(self) -> str:
        """Return the column name."""

    def __repr__(self) -> str:
        return str(self)

    @property
    def axis(self) -> str:
        """The text of an axis: the name, the unit, and the direction where lower is better."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self}{unit}{' (lower is better)' if self.better == 'lower' else ''}"

    @property
    def n_neighbors(self) -> int:
        """How many true nearest neighbours of each query it asks for; 0 where it does not ask."""
        return 0

    @abstractmethod
    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return one value per query, float64."""

    @classmethod
    def from_groups(cls, groups: dict[str, str | None]) -> Metric:
        """Return the metric that the pattern's groups describe."""
        given = {name: text for name, text in groups.items() if text not in (None, "all")}
        return cls(**{name: int(text) if text.isdigit() else text for name, text in given.items() if text})


def values_of(metric: Metric, histograms: Histograms) -> np.ndarray:
    """Return a metric's value for each query, once it is known that they can be values.

    Returns
    -------
    ndarray of shape (n_queries,), float64

    Raises
    ------
    ContractError
        The metric returns another shape or type, a value that is not finite, or one outside its range.
    """
    values = np.asarray(metric.per_query(histograms))
    n_queries = len(histograms.total)
    if values.shape != (n_queries,) or values.dtype.kind not in "fiub":
        what = f"shape {values.shape} and dtype {values.dtype}"
        raise ContractError(f"{metric} returns {what}, expected one number for each of {n_queries} queries")
    values = values.astype(np.float64, copy=False)
    low, high = (-np.inf if metric.low is None else metric.low), (np.inf if metric.high is None else metric.high)
    fits = np.isfinite(values) & (values >= low - ROUNDING) & (values <= high + ROUNDING)
    if not fits.all():
        query = int(np.argmin(fits))
        raise ContractError(
            f"{metric} is {values[query]:g} for query {query}, expected a number from {low:g} to {high:g}"
        )
    return values
