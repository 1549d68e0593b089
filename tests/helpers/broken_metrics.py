"""A metric that passes every check, and one for each check that it fails."""

from dataclasses import dataclass

import numpy as np

from hashbench import Metric


@dataclass(frozen=True, repr=False)
class GoodMetric(Metric):
    """Share of relevant items at the levels of the first ``k`` items, expected within the last level."""

    pattern = r"good@(?P<k>\d+)"
    forms = "good@k"
    examples = ("good@4",)
    title = "Precision again"

    k: int

    def __str__(self):
        return f"good@{self.k}"

    def per_query(self, histograms):
        before = np.cumsum(histograms.total, axis=1) - histograms.total
        share = np.clip(self.k - before, 0, histograms.total) / np.maximum(histograms.total, 1)
        return (share * histograms.relevant).sum(axis=1) / self.k


class NamesAreLost(GoodMetric):
    """Writes another number than it reads."""

    def __str__(self):
        return f"good@{2 * self.k}"


class HasNoTitle(GoodMetric):
    """Says nothing."""

    title = ""


class IsOutOfRange(GoodMetric):
    """Counts hits and says that they are shares."""

    def per_query(self, histograms):
        return super().per_query(histograms) * self.k


class DividesByNothing(GoodMetric):
    """Gives NaN where nothing is relevant."""

    def per_query(self, histograms):
        with np.errstate(all="ignore"):
            return super().per_query(histograms) * (histograms.n_relevant / histograms.n_relevant)


class IsRandom(GoodMetric):
    """Adds a little noise."""

    def per_query(self, histograms):
        return super().per_query(histograms) * np.random.default_rng().uniform(0.5, 1)


class ChangesItsInput(GoodMetric):
    """Sorts the histograms in place."""

    def per_query(self, histograms):
        values = super().per_query(histograms)
        histograms.total[:, :2] += 1
        return values


class LooksAtOthers(GoodMetric):
    """Divides by the best query's value."""

    def per_query(self, histograms):
        values = super().per_query(histograms)
        return values * values.mean()


class PrefersTheWorst(GoodMetric):
    """Says that lower is better."""

    better = "lower"


class IsConstant(GoodMetric):
    """Does not look at the ranking."""

    def per_query(self, histograms):
        return np.full(len(histograms.total), 0.5)


class IsOptimistic(GoodMetric):
    """Takes the best order of ties."""

    def per_query(self, histograms):
        before = np.cumsum(histograms.total, axis=1) - histograms.total
        return np.clip(self.k - before, 0, histograms.relevant).sum(axis=1) / self.k


class ReadsDistances(GoodMetric):
    """Takes levels for distances."""

    def per_query(self, histograms):
        near = 1 / (1 + np.arange(histograms.total.shape[1]))
        return (histograms.relevant * near).sum(axis=1) / np.maximum(histograms.n_relevant, 1)


class ChangesNumpy(GoodMetric):
    """Leaves numpy's error state changed."""

    def per_query(self, histograms):
        np.seterr(divide="ignore" if np.geterr()["divide"] != "ignore" else "warn")
        return super().per_query(histograms)


class MovesTheGenerator(GoodMetric):
    """Draws from numpy's global generator."""

    def per_query(self, histograms):
        np.random.random()  # noqa: NPY002
        return super().per_query(histograms)


BROKEN = {
    "check_names": (NamesAreLost, HasNoTitle),
    "check_values_are_in_range": (IsOutOfRange, DividesByNothing),
    "check_is_deterministic": (IsRandom, ChangesItsInput),
    "check_each_query_alone": (LooksAtOthers,),
    "check_perfect_ranking_is_best": (PrefersTheWorst, IsConstant),
    "check_ties_are_expectations": (IsOptimistic,),
    "check_levels_are_groups": (ReadsDistances,),
    "check_process_is_left_alone": (ChangesNumpy,),
    "check_global_random_state_is_left_alone": (MovesTheGenerator,),
}
