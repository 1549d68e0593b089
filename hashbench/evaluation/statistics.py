"""Which differences between methods are more than chance: seeds and queries as sources of variance, the best chosen.

All methods of a comparison are scored on the same queries, so a draw of queries is a draw for all of them; each
method's seeds are its own. A value is thus a method's mean, plus an effect of the query, of the query on this
method, of the seed, and of both together: two crossed random factors (Owen, The Pigeonhole Bootstrap, Annals of
Applied Statistics 1(2), 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hashbench.evaluation.metrics import Better
from hashbench.evaluation.seed_variances import Board, Lender
from hashbench.evaluation.studentized_range import largest_of
from hashbench.evaluation.variance import ROUNDING, Sample, Variance, paired_differences

ALPHA = 0.05

Verdict = Literal["best", "separable", "not separable", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """A method compared with the best of its comparison.

    Attributes
    ----------
    verdict : {"best", "separable", "not separable", "unknown"}
        ``best`` has the best observed mean. Others are ``separable`` from it where ``p_corrected`` is at
        most alpha. ``unknown``: no test can be made.
    reason : str
        Why the verdict, or the best's interval, is unknown, in words for a footnote; else empty.
    mean : float
        Over queries and seeds.
    interval : tuple of float
        Confidence interval of ``mean`` for new queries and, unless the method is deterministic, new seeds, from its
        own values alone. NaN for one seed of a random method and for one query. It may end beyond the metric's range.
    difference : float
        The best method's mean minus this one's; 0 for the best.
    difference_interval : tuple of float
        Confidence interval of ``difference``, not widened for the number of methods; NaN where the verdict is
        unknown, (0, 0) for the best.
    queries_better : float
        Share of the queries on which the method, averaged over its seeds, is ahead of the best.
    p_value, p_corrected : float
        Two-sided, of no difference from the best; as if the two alone were compared, and corrected for the choice of
        the best among all. The best's own are 1; NaN where the verdict is unknown.
    """

    verdict: Verdict
    reason: str
    mean: float
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]
    queries_better: float
    p_value: float
    p_corrected: float

    @property
    def best(self) -> bool:
        """Whether this is the best."""
        return self.verdict == "best"

    @property
    def separable(self) -> bool:
        """Whether this is worse than the best by more than chance."""
        return self.verdict == "separable"


def compare(
    per_query: Mapping[str, np.ndarray], *, alpha: float = ALPHA, better: Better = "higher"
) -> dict[str, Comparison]:
    """Compare methods with the best among them.

    Parameters
    ----------
    per_query : mapping from str to ndarray of shape (n_queries,) or (n_seeds, n_queries), float
        Each method's values, the queries in one order for all. One dimension says that the method is
        deterministic: it has no seed, so its seeds add no variance. Two dimensions say that it is random, also
        with one seed, shape (1, n_queries): what another seed would have given is then not known, the method
        gets no interval and no verdict, and no method gets one against it if it is the best.
    alpha : float
        Chance of any false mark in the comparison, and 1 minus the level of the intervals.
    better : {"higher", "lower"}
        Which values are better.

    Returns
    -------
    dict from str to Comparison
        In the order given. The order of methods, seeds and queries does not matter: of equal means the first by name is
        the best. A method with values that are not finite has no verdict, and is not the best.

    Raises
    ------
    ValueError
        ``per_query`` is empty, or its arrays differ in shape.

    See Also
    --------
    compare_board : The same at several code lengths, which say of each other how far seeds scatter.

    Notes
    -----
    *Variance.* The variance of the difference of two means has a part of the seeds, s₁²/n₁ + s₂²/n₂ with sₘ²
    the variance of method m's seed means, and a part of the queries: the variance over queries of the paired
    difference (each method averaged over its seeds) by the number of queries. A seed acting on each query in
    its own way, the interaction, is in both; its estimate from the residuals of seeds by queries, which has
    many degrees of freedom, is taken out of the second, which never goes below 0. Seeds of two methods are
    taken as independent, equal numbers or not.

    *What seeds say of each other.* Three seeds estimate their variance with two degrees of freedom, and a test that
    has no more knows little. As genomics does for three replicates (the moderated t of Smyth, Statistical
    Applications in Genetics and Molecular Biology 3(1), 2004), sₘ² is averaged with what the rest of its board says,
    each weighted by its degrees of freedom, and has the sum of them:

    - The same method at its other code lengths: their mean, each variance times its code length, with which they
      fall. On the published boards the logarithms of one method's variances at 16 to 128 bits then scatter with a
      variance of 0 to 0.7 beyond that of the estimates, none by mAP@all, and those of different methods with 1.0 to
      1.9: most is to be had here. A seed's draw can act on several lengths alike, as AGH's anchors do; L lengths of n
      seeds therefore count (n − 1)(L − 1)/(L + 1) degrees of freedom instead of (n − 1)(L − 1), which is right for
      squared correlations of .5.
    - All methods: the mean of their variances, where the largest counts as the second one, so that one wild method
      does not hide all other differences. It is a mean and not, as Smyth has it, the scale of a fitted prior: a method
      whose few seeds agree by luck then looks as uncertain as the uncertain ones. It counts at most 2 degrees of
      freedom (a prior that scatters as methods do on the published boards has 1.8 to 2.8), and fewer where few
      methods are compared: so many that a method whose variance is far above all others' is called different in at
      most 3.5%. That is none for two methods, 0.6 for five with three seeds, 1.6 for twenty. As no scale is taken
      from other data, two methods at one length are compared by their own seeds alone.

    A method without seeds, or whose seeds agree in every value, has the variance 0, and none is lent or borrowed.

    *Interval and test.* The interval is the difference ± √(V₁ t₁² + V₂ t₂²), with t₁ and t₂ the quantiles of
    Student's t for either part's degrees of freedom. As the distribution function of χ² with one degree is
    concave, its level is never above the higher of the two parts' own, whatever their shares (Banerjee, On
    Confidence Interval for Two-Means Problem Based on Separate Estimates of Variances and Tabulated Values of
    t-Table, Sankhyā A 23, 1961). One approximate number of degrees of freedom for the sum of both does not
    give that: where few seeds look alike by chance, the queries' many degrees hide how little is known. The
    seeds' part of two random methods takes Satterthwaite's degrees of freedom (Welch, Biometrika 34, 1947),
    with the smaller number for both methods, as Welch's own number rejects too often for 2 seeds against 10. The p
    value is the alpha whose interval ends at 0. Two deterministic methods get the paired t test over queries, and two
    methods that differ in nothing but seeds Welch's test of the seed means.

    *Number of methods.* Only differences from the best are asked for (Hsu, Multiple Comparisons, 1996, chapter 4), but
    the best is chosen by looking: of equal methods any may come out first, so the largest difference among all of
    them is what must be rare. Its distribution is the studentized range with the pair's degrees of freedom (Games and
    Howell, Journal of Educational Statistics 1(2), 1976), which does not ask for equal variances. Methods are taken
    from the most to the least significant, each tested among those that are left, with what can be borrowed among so
    many; none is separable that is not so when it is compared with the best alone, or where one before is not so
    among those that were left then. It is a short cut of the closed test (Marcus, Peritz and Gabriel, Biometrika
    63(3), 1976) of all sets of methods with equal means that have the best in them. Hsu's smaller constants, those of
    Dunnett, hold for the statement that a method is not *the* best; of two equal methods they mark one in 10% of
    comparisons.

    *Measured* (``benchmarks/verdicts.py``, alpha 0.05, 240 to 300 draws a case, so that 5% may read 2.5 to 7.5): of
    equal methods with three seeds, whose effects are none to large, of variances that differ tenfold and
    hundredfold, or of one that is a thousand times the others', any is marked in 3.7 to 5.3% of comparisons of two
    methods, 3.0 to 5.0% of three, 1.3 to 4.0% of five, 1.3 to 4.7% of ten and 0.7 to 3.3% of twenty; at four code
    lengths in at most 4.2, 4.3, 2.1, 2.9 and 2.5%. Of methods that are 4, 6 and 10 standard deviations of a seed below
    the best, three seeds tell 79, 97 and 100% of five methods at one code length and 56, 99 and 100% of twenty; at four
    lengths 92, 100 and 100% and 69, 100 and 100% (large effects). Of 1,000 pairs of groups of one method's seeds on
    the digits, of 600 seeds, LSH's and ITQ's at 32 and 64 bits with three and five seeds are separated in 2.8 to 4.6%;
    of 60 pairs CIBHash's (20 epochs, 32 bits) in 4 and 3.

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
    values = _checked(per_query)
    return compare_board({1: {name: Sample.of(of) for name, of in values.items()}}, alpha=alpha, better=better)[1]


def compare_board(board: Board, *, alpha: float = ALPHA, better: Better = "higher") -> dict[int, dict[str, Comparison]]:
    """Compare methods with the best at each code length.

    Each length is a separate comparison, with its own best and its own correction; the seeds' variances of all
    lengths are estimated together, see the notes of `compare`.

    Parameters
    ----------
    board : mapping from int to mapping from str to Sample
        One metric's values by code length and method: all that share data, protocol, features and whether labels were
        read. A method has the same name at all of its lengths.
    alpha, better
        As in `compare`.

    Returns
    -------
    dict from int to dict from str to Comparison
    """
    if better == "lower":
        turned = compare_board(
            {n: {name: _turned(one) for name, one in of.items()} for n, of in board.items()}, alpha=alpha
        )
        return {n: {name: _turned_back(one) for name, one in of.items()} for n, of in turned.items()}
    lender = Lender(board)
    return {n_bits: _compared(n_bits, lender, alpha) for n_bits in board}


def _turned(sample: Sample) -> Sample:
    """Return a sample with the signs of its values turned, which changes no variance."""
    return replace(sample, by_query=-sample.by_query)


def _turned_back(one: Comparison) -> Comparison:
    (low, high), (least, most) = one.interval, one.difference_interval
    return replace(
        one,
        mean=-one.mean,
        interval=(-high, -low),
        difference=0.0 - one.difference,
        difference_interval=(0.0 - most, 0.0 - least),
    )


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


def _compared(n_bits: int, lender: Lender, alpha: float) -> dict[str, Comparison]:
    """Return the comparison of a board's methods at one code length."""
    samples = lender.board[n_bits]
    best = _best(samples)

    def behind_best(name: str, n_means: int) -> Variance:
        return Variance.of_difference(lender.sample(best, n_bits, n_means), lender.sample(name, n_bits, n_means))

    alone = {name: behind_best(name, 2) for name in samples}
    p_values = {name: 1.0 if name == best else one.p_value for name, one in alone.items()}
    known = [name for name in samples if name != best and not np.isnan(p_values[name])]
    corrected = p_values | _corrected(known, p_values, behind_best)
    return {
        name: Comparison(
            verdict=_verdict(name == best, samples[best], corrected[name], alpha),
            reason=_reason(sample, samples[best]),
            mean=float(sample.by_query.mean()),
            interval=Variance.of_mean(sample).interval(alpha),
            difference=alone[name].estimate,
            difference_interval=(0.0, 0.0) if name == best else alone[name].interval(alpha),
            queries_better=float((paired_differences(sample, samples[best]) > 0).mean()),
            p_value=p_values[name],
            p_corrected=corrected[name],
        )
        for name, sample in samples.items()
    }


def _best(samples: Mapping[str, Sample]) -> str:
    """Return the method whose mean no other's exceeds, of several the first by name; where no mean is a number, any."""
    means = {name: float(sample.by_query.mean()) for name, sample in samples.items() if sample.is_finite}
    highest = max(means.values(), default=np.nan)
    return min((name for name, mean in means.items() if mean >= highest - ROUNDING), default=min(samples))


def _corrected(
    names: Sequence[str], alone: Mapping[str, float], behind_best: Callable[[str, int], Variance]
) -> dict[str, float]:
    """Return p values of differences from the best, corrected for its being chosen among it and ``names``."""
    first = {name: behind_best(name, len(names) + 1).p_value for name in names}
    corrected, before = {}, 0.0
    for rank, name in enumerate(sorted(names, key=lambda name: first[name])):
        n_means = len(names) + 1 - rank
        difference = behind_best(name, n_means)
        before = max(before, largest_of(difference.p_value, n_means, difference.dof))
        corrected[name] = max(before, alone[name])
    return corrected


def _verdict(is_best: bool, best: Sample, p_corrected: float, alpha: float) -> Verdict:
    if not best.is_finite or np.isnan(p_corrected):
        return "unknown"
    if is_best:
        return "best"
    return "separable" if p_corrected <= alpha else "not separable"


def _reason(sample: Sample, best: Sample) -> str:
    if not sample.is_finite:
        return "values that are not finite"
    if len(sample.by_query) == 1:
        return "one query"
    if sample.n_seeds == 1:
        return "one seed"
    return "the best has one seed" if best.n_seeds == 1 else ""


def _checked(per_query: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not per_query:
        raise ValueError("per_query is empty: there is nothing to compare")
    values = {name: np.asarray(method, np.float64) for name, method in per_query.items()}
    first = next(iter(values.values()))
    n_queries = first.shape[-1] if first.ndim else 0
    for name, method in values.items():
        if method.ndim not in (1, 2) or method.size == 0 or method.shape[-1] != n_queries:
            expected = f"({n_queries},) or (n_seeds, {n_queries})"
            raise ValueError(f"per_query[{name!r}] has shape {method.shape}, expected {expected}")
    return values
