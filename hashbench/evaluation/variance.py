"""How far means over seeds and queries may be from those of other seeds and queries.

Why these formulas: the notes of `hashbench.evaluation.statistics.compare`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

ROUNDING = 1e-12
"""Differences up to this are none: means of the same scores in another order may differ by it."""
SMALLEST_P = 1e-16
"""No p value below this is given: it would rest on tails that no data show."""


@dataclass(frozen=True)
class Sample:
    """A method's values, as far as variances need them.

    Attributes
    ----------
    by_query : ndarray of shape (n_queries,), float64
        Means over seeds.
    n_seeds : int or None
        None for a deterministic method.
    seeds : float
        Estimated variance of the method's mean through the choice of seeds; 0 for a deterministic method, NaN
        for one seed of a random one.
    dof : float
        Degrees of freedom of ``seeds``; infinite for a deterministic method, whose 0 is exact.
    interaction : float
        The part of ``seeds`` that comes from seeds acting on each query in their own way.
    """

    by_query: np.ndarray
    n_seeds: int | None
    seeds: float
    dof: float
    interaction: float

    @classmethod
    def of(cls, values: np.ndarray) -> Sample:
        """Return the sample of values of shape (n_queries,), deterministic, or (n_seeds, n_queries).

        Seeds that agree in every value vary in nothing: their variance is exactly 0.
        """
        if values.ndim == 1:
            return cls(values, None, 0.0, np.inf, 0.0)
        n_seeds, n_queries = values.shape
        by_query, by_seed = values.mean(axis=0), values.mean(axis=1)
        if n_seeds == 1:
            return cls(by_query, 1, np.nan, 0, np.nan)
        if (values == values[0]).all():
            return cls(values[0], n_seeds, 0.0, np.inf, 0.0)
        residuals = values - by_query
        residuals -= residuals.mean(axis=1, keepdims=True)
        dof = (n_seeds - 1) * max(n_queries - 1, 1)
        interaction = float(np.square(residuals).sum()) / dof / (n_seeds * n_queries)
        return cls(by_query, n_seeds, float(by_seed.var(ddof=1)) / n_seeds, n_seeds - 1, interaction)

    @property
    def is_finite(self) -> bool:
        """Whether all of its values are numbers."""
        return bool(np.isfinite(self.by_query).all())


@dataclass(frozen=True)
class Variance:
    """An estimated mean, or difference of means, and its variance in two independent parts.

    Attributes
    ----------
    estimate : float
    seeds, queries : float
        Variance through the choice of seeds, interaction with queries included, and of queries alone. NaN
        where there is one seed of a random method, or one query.
    seed_dof, query_dof : float
        Their degrees of freedom.
    """

    estimate: float
    seeds: float
    seed_dof: float
    queries: float
    query_dof: float

    @classmethod
    def of_mean(cls, sample: Sample) -> Variance:
        """Return a method's mean over queries and seeds with its variance."""
        queries = _over_queries(sample.by_query, sample.interaction)
        return cls(float(sample.by_query.mean()), sample.seeds, sample.dof, *queries)

    @classmethod
    def of_difference(cls, first: Sample, second: Sample) -> Variance:
        """Return the difference of two methods' means on the same queries, seeds independent, with its variance."""
        paired = paired_differences(first, second)
        seeds, dof = first.seeds + second.seeds, min(first.dof, second.dof)
        if seeds > 0:
            share = first.seeds / seeds
            dof /= share**2 + (1 - share) ** 2
        estimate = float(paired.mean())
        if abs(estimate) <= ROUNDING:
            estimate = 0.0
        return cls(estimate, seeds, dof, *_over_queries(paired, first.interaction + second.interaction))

    @property
    def known(self) -> bool:
        """Whether both parts could be estimated."""
        return bool(np.isfinite(self.seeds + self.queries))

    @property
    def dof(self) -> float:
        """Approximate degrees of freedom of both parts together (Satterthwaite, Biometrics Bulletin 2, 1946)."""
        shares = [part / (self.seeds + self.queries) for part, _ in self._parts()]
        squares = sum(share**2 / dof for share, (_, dof) in zip(shares, self._parts(), strict=True))
        return 1 / squares if squares else np.inf

    def half_width(self, alpha: float) -> float:
        """Return half the length of the interval that misses with a chance of at most alpha."""
        squared = 0.0
        for part, dof in self._parts():
            squared += part * float(stdtrit(dof, alpha / 2)) ** 2
        return float(np.sqrt(squared))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the confidence interval at level 1 − alpha; NaN where the variance is not known."""
        half = self.half_width(alpha) if self.known else np.nan
        return self.estimate - half, self.estimate + half

    @property
    def p_value(self) -> float:
        """The two-sided p value of 0: the alpha whose interval ends there; NaN where the variance is not known."""
        if not self.known:
            return np.nan
        if self.estimate == 0:
            return 1.0
        parts = self._parts()
        if not parts:
            return SMALLEST_P
        t = -abs(self.estimate) / np.sqrt(self.seeds + self.queries)
        ends = [max(2 * float(stdtr(dof, t)), SMALLEST_P) for _, dof in parts]
        # The p value is between those that either part's degrees of freedom give for both, or is one of them.
        low, high = np.log(min(ends)), np.log(max(ends))
        if self._excess(low) <= 0:
            return min(ends)
        if self._excess(high) >= 0:
            return max(ends)
        return float(np.exp(brentq(self._excess, low, high)))

    def _parts(self) -> list[tuple[float, float]]:
        parts = (self.seeds, self.seed_dof), (self.queries, self.query_dof)
        return [(part, dof) for part, dof in parts if part > 0]

    def _excess(self, log_alpha: float) -> float:
        return self.half_width(float(np.exp(log_alpha))) / abs(self.estimate) - 1


def paired_differences(first: Sample, second: Sample) -> np.ndarray:
    """Return each query's difference of two methods' means over seeds, shape (n_queries,), float64."""
    paired = first.by_query - second.by_query
    paired[np.abs(paired) <= ROUNDING] = 0.0
    return paired


def _over_queries(values: np.ndarray, interaction: float) -> tuple[float, float]:
    """Return the variance of a mean over queries without the seeds' share of it, and its degrees of freedom."""
    n_queries = len(values)
    if n_queries == 1:
        return np.nan, 0
    return max(float(values.var(ddof=1)) / n_queries - interaction, 0.0), n_queries - 1
