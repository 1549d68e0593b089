"""Which differences between methods are more than chance: seeds and queries as sources of variance, Holm's correction.

All methods of a comparison are scored on the same queries, so a draw of queries is a draw for all of them; each
method's seeds are its own. A value is thus a method's mean, plus an effect of the query, of the query on this
method, of the seed, and of both together: two crossed random factors (Owen, The Pigeonhole Bootstrap, Annals of
Applied Statistics 1(2), 2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from hashbench.evaluation.variance import ROUNDING, Sample, Variance, paired_differences

ALPHA = 0.05

Verdict = Literal["best", "separable", "not separable", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """A method beside the best of its comparison.

    Attributes
    ----------
    verdict : {"best", "separable", "not separable", "unknown"}
        ``best`` has the highest observed mean. Others are ``separable`` from it where ``p_holm`` is at most
        alpha. ``unknown``: no test can be made.
    reason : str
        Why the verdict, or the best's interval, is unknown, in words for a footnote; else empty.
    mean : float
        Over queries and seeds.
    interval : tuple of float
        Confidence interval of ``mean`` for new queries and, unless the method is deterministic, new seeds. NaN
        for one seed of a random method and for one query. It may end beyond the metric's range.
    difference : float
        The best method's mean minus this one's; 0 for the best.
    difference_interval : tuple of float
        Confidence interval of ``difference``, not widened for the number of methods; NaN where the verdict is
        unknown, (0, 0) for the best.
    queries_better : float
        Share of the queries on which the method, averaged over its seeds, is ahead of the best.
    p_value, p_holm : float
        Two-sided, of no difference from the best; raw, and corrected for all pairs of the comparison. The
        best's own are 1; NaN where the verdict is unknown.
    """

    verdict: Verdict
    reason: str
    mean: float
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]
    queries_better: float
    p_value: float
    p_holm: float

    @property
    def best(self) -> bool:
        """Whether this is the best."""
        return self.verdict == "best"

    @property
    def separable(self) -> bool:
        """Whether this is worse than the best by more than chance."""
        return self.verdict == "separable"


def compare(per_query: Mapping[str, np.ndarray], *, alpha: float = ALPHA) -> dict[str, Comparison]:
    """Compare methods with the best among them.

    Parameters
    ----------
    per_query : mapping from str to ndarray of shape (n_queries,) or (n_seeds, n_queries), float
        Each method's values, the queries in one order for all. One dimension says that the method is
        deterministic: it has no seed, so its seeds add no variance. Two dimensions say that it is random, also
        with one seed, shape (1, n_queries): what another seed would have given is then not known, the method
        gets no interval and no verdict, and nobody gets one beside it if it is the best.
    alpha : float
        Chance of any false mark in the comparison, and 1 minus the level of the intervals.

    Returns
    -------
    dict from str to Comparison
        In the order given. Neither the order of seeds nor that of queries matters.

    Raises
    ------
    ValueError
        No method, values of another shape, or values that are not finite.

    Notes
    -----
    *Variance.* The variance of the difference of two means has a part of the seeds, s₁²/n₁ + s₂²/n₂ with sₘ²
    the variance of method m's seed means, and a part of the queries: the variance over queries of the paired
    difference (each method averaged over its seeds) by the number of queries. A seed acting on each query in
    its own way, the interaction, is in both; its estimate from the residuals of seeds by queries, which has
    many degrees of freedom, is taken out of the second, which never goes below 0. Seeds of two methods are
    taken as independent, equal numbers or not.

    *Interval and test.* The interval is the difference ± √(V₁ t₁² + V₂ t₂²), with t₁ and t₂ the quantiles of
    Student's t for either part's degrees of freedom. As the distribution function of χ² with one degree is
    concave, its level is never above the higher of the two parts' own, whatever their shares (Banerjee, On
    Confidence Interval for Two-Means Problem Based on Separate Estimates of Variances and Tabulated Values of
    t-Table, Sankhyā A 23, 1961). One approximate number of degrees of freedom for the sum of both does not
    give that: where few seeds look alike by chance, the queries' many degrees hide how little is known. The
    seeds' part of two random methods takes Satterthwaite's degrees of freedom (Welch, Biometrika 34, 1947),
    with the smaller number of seeds for both methods, as Welch's own number rejects too often for 2 seeds
    against 10. The p value is the alpha whose interval ends at 0. Two deterministic methods get the paired t
    test over queries, and two methods that differ in nothing but seeds Welch's test of the seed means.

    *Number of methods.* The best is chosen by looking, so that any pair of equal methods may end as best and
    other: Holm's correction is over all pairs that can be tested, and the verdicts are those of the pairs with
    the best. So the chance of any false mark is held at alpha for all patterns of equal means, as far as each
    pair's test holds its own.

    *Measured* (``benchmarks/verdicts.py``, 1,000 draws a case, alpha 0.05): of equal methods with 2, 3, 5, 10,
    2 against 10, or none against 3 seeds, whose effects are none to large or ten times larger for one than for
    the other, any is marked in 0.6 to 6.2% of comparisons of two, 0 to 3.4% of five, 0 to 2.6% of ten;
    deterministic methods in 5.5, 3.9 and 4.0%. Intervals miss 1.6 to 5.5% of means. Where methods differ in
    nothing but seeds the power is Welch's over seed means less at most 1.2 percentage points, for 2 seeds little in
    both; where the choice of queries matters too that test calls up to 52% of equal pairs different.

    Examples
    --------
    >>> import numpy as np
    >>> easy = np.linspace(0.2, 0.9, 200)
    >>> result = compare({"a": easy, "b": easy - 0.1 * easy**2, "c": easy[::-1] - 0.001, "d": easy[None] / 2})
    >>> [(name, round(one.difference, 3), one.verdict) for name, one in result.items()]
    [('a', 0.0, 'best'), ('b', 0.034, 'separable'), ('c', 0.001, 'not separable'), ('d', 0.275, 'unknown')]
    >>> result["d"].reason
    'one seed'
    """
    samples = [Sample.of(values) for values in _checked(per_query)]
    means = np.array([sample.by_query.mean() for sample in samples])
    best = int(np.argmax(means >= means.max() - ROUNDING))
    p_values, p_holm = _test_pairs(samples)
    return {
        name: _beside_best(samples, m, best, p_values[m, best], p_holm[m, best], alpha)
        for m, name in enumerate(per_query)
    }


def compare_columns(
    columns: Sequence[Mapping[str, np.ndarray]], *, alpha: float = ALPHA
) -> list[dict[str, Comparison]]:
    """Make several comparisons, such as a table's columns.

    Each column is a comparison of its own, with its own best and its own correction. Parameters and errors
    are those of `compare`.
    """
    return [compare(column, alpha=alpha) for column in columns]


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for their number by Holm's step-down procedure.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics
    6(2), 1979. The i-th smallest of m is multiplied by m − i + 1, and never falls below a smaller one's.

    Parameters
    ----------
    p_values : ndarray of shape (m,), float

    Returns
    -------
    ndarray of shape (m,), float64
        At most 1, in the order given; rejecting where they are at most alpha keeps the chance of any false
        rejection at alpha.

    Examples
    --------
    >>> import numpy as np
    >>> [float(p) for p in holm(np.array([0.01, 0.04, 0.03]))]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values)[order]), 1.0)
    return adjusted


def _test_pairs(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Return raw and corrected p values, shape (n_methods, n_methods): 1 on the diagonal, NaN where unknown."""
    raw, corrected = (np.eye(len(samples)) for _ in range(2))
    pairs = list(combinations(range(len(samples)), 2))
    p_values = np.array([Variance.of_difference(samples[i], samples[j]).p_value for i, j in pairs])
    adjusted = np.full(len(pairs), np.nan)
    known = ~np.isnan(p_values)
    adjusted[known] = holm(p_values[known])
    for (i, j), p_value, p_adjusted in zip(pairs, p_values, adjusted, strict=True):
        raw[i, j] = raw[j, i] = p_value
        corrected[i, j] = corrected[j, i] = p_adjusted
    return raw, corrected


def _beside_best(samples: list[Sample], m: int, best: int, p_value: float, p_holm: float, alpha: float) -> Comparison:
    mean, difference = Variance.of_mean(samples[m]), Variance.of_difference(samples[best], samples[m])
    own = (0.0, 0.0) if m == best else difference.interval(alpha)
    return Comparison(
        verdict=_verdict(m == best, float(p_holm), alpha),
        reason=_reason(samples[m], samples[best]),
        mean=mean.estimate,
        interval=mean.interval(alpha),
        difference=difference.estimate,
        difference_interval=own,
        queries_better=float((paired_differences(samples[m], samples[best]) > 0).mean()),
        p_value=float(p_value),
        p_holm=float(p_holm),
    )


def _verdict(is_best: bool, p_holm: float, alpha: float) -> Verdict:
    if is_best:
        return "best"
    if np.isnan(p_holm):
        return "unknown"
    return "separable" if p_holm <= alpha else "not separable"


def _reason(sample: Sample, best: Sample) -> str:
    if len(sample.by_query) == 1:
        return "one query"
    if sample.n_seeds == 1:
        return "one seed"
    return "the best has one seed" if best.n_seeds == 1 else ""


def _checked(per_query: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    if not per_query:
        raise ValueError("per_query is empty: there is nothing to compare")
    values = [np.asarray(method, np.float64) for method in per_query.values()]
    n_queries = values[0].shape[-1] if values[0].ndim else 0
    for name, method in zip(per_query, values, strict=True):
        if method.ndim not in (1, 2) or method.size == 0 or method.shape[-1] != n_queries:
            expected = f"({n_queries},) or (n_seeds, {n_queries})"
            raise ValueError(f"per_query[{name!r}] has shape {method.shape}, expected {expected}")
        if not np.isfinite(method).all():
            raise ValueError(f"per_query[{name!r}] holds values that are not finite")
    return values
