"""Rankings that metrics are checked on: histograms of a few queries, made from items in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.metrics import Metric, named

N_ITEMS = 30
N_QUERIES = 12
N_LEVELS = 12
MOST_SHARED = 3
"""Labels that an item shares with a query at most, where items have several."""
TIED = 5
"""Items of one level of which all orders are tried."""


@dataclass(frozen=True)
class Trial:
    """Rankings of a few queries.

    Attributes
    ----------
    name : str
        What is relevant, in words.
    grades : ndarray of shape (n_queries, n_items), int
        How relevant an item is: labels that it shares with the query; of true neighbours how near, 0 for none.
    levels : ndarray of shape (n_queries, n_items), int
        Its distance; equal ones are ties.
    kind : {"classes", "labels", "neighbours"}
    """

    name: str
    grades: np.ndarray
    levels: np.ndarray
    kind: str
    depth: int = 0

    @property
    def histograms(self) -> Histograms:
        """What a metric gets."""
        n_levels = max(N_LEVELS, int(self.levels.max()) + 1)
        relevant = _counts(self.levels, self.grades > 0, n_levels)
        total = _counts(self.levels, np.ones_like(self.grades, bool), n_levels)
        several = self.kind == "labels"
        by_grade = [_counts(self.levels, self.grades == grade, n_levels) for grade in range(MOST_SHARED + 1)]
        nearest = {self.depth: relevant} if self.kind == "neighbours" else {}
        shared = np.stack(by_grade, axis=2) if several else None
        return Histograms(total, relevant, relevant.sum(axis=1), shared, nearest, several)

    def ranked(self, levels: np.ndarray) -> Trial:
        """Return the same items in another ranking."""
        return Trial(self.name, self.grades, levels, self.kind, self.depth)

    @property
    def perfect(self) -> Trial:
        """The items ranked by relevance, what is relevant at the smallest distances and the rest at the largest."""
        near = MOST_SHARED - self.grades if self.kind == "labels" else np.zeros_like(self.grades)
        return self.ranked(np.where(self.grades > 0, near, N_LEVELS - 1))


def _counts(levels: np.ndarray, which: np.ndarray, n_levels: int) -> np.ndarray:
    rows = np.arange(len(levels))[:, None] * n_levels + levels
    return np.bincount(rows[which], minlength=len(levels) * n_levels).reshape(len(levels), n_levels).astype(np.int64)


def examples_of(metric_class: type[Metric]) -> list[Metric]:
    """Return the metrics that a class names as examples.

    Raises
    ------
    AssertionError
        It names none, or one that its pattern does not match.
    """
    names = getattr(metric_class, "examples", ())
    assert names, "examples is empty: name a few, such as examples = ('P@10',)"
    assert isinstance(names, tuple), f"examples is {names!r:.60}, expected a tuple, such as ('P@10',)"
    metrics = [named(metric_class, name) for name in names]
    for name, metric in zip(names, metrics, strict=True):
        assert metric is not None, f"its pattern {metric_class.pattern!r} does not match its example {name!r}"
    return [metric for metric in metrics if metric is not None]


def trials_of(metric: Metric) -> list[Trial]:
    """Return rankings that a metric can score: by classes, by several labels, by true neighbours."""
    rng = np.random.default_rng(0)
    n_items = max(N_ITEMS, 2 * metric.n_neighbors)
    levels = rng.integers(0, N_LEVELS, (N_QUERIES, n_items))
    if metric.n_neighbors:
        grades = np.zeros(levels.shape, int)
        for row in grades:
            row[rng.choice(n_items, metric.n_neighbors, replace=False)] = 1
        return [Trial("true neighbours", grades, levels, "neighbours", metric.n_neighbors)]
    classes = (rng.random(levels.shape) < rng.random((N_QUERIES, 1))).astype(int)
    classes[0], classes[1] = 0, 1  # a query without anything relevant, and one to which all is
    shared = classes * rng.integers(1, MOST_SHARED + 1, classes.shape)
    return [Trial("classes", classes, levels, "classes"), Trial("several labels", shared, levels, "labels")]


def orders_of(trial: Trial) -> tuple[Trial, Trial]:
    """Return one query with a group of ties, and the same items with that group in each of its orders.

    Both have a row for each order.
    """
    query = int(np.argmax((trial.grades > 0).sum(axis=1) * (trial.grades == 0).sum(axis=1)))
    grades = trial.grades[query][_mixed(trial.grades[query])]
    after = TIED + 1 + np.arange(len(grades) - TIED - 1)
    strict = np.array([[*(1 + place for place in order), 0, *after] for order in permutations(range(TIED))])
    together = np.tile(np.array([*[1] * TIED, 0, *after]), (len(strict), 1))
    same = np.tile(grades, (len(strict), 1))
    tied, ordered = (Trial(trial.name, same, levels, trial.kind, trial.depth) for levels in (together, strict))
    return tied, ordered


def _mixed(grades: np.ndarray) -> list[int]:
    """Return the items with relevant and other ones by turns, so that a tied group has both."""
    relevant, other = list(np.flatnonzero(grades > 0)), list(np.flatnonzero(grades == 0))
    turns: list[int] = []
    while relevant or other:
        turns += [int(pile.pop()) for pile in (relevant, other) if pile]
    return turns


def rankings_of(trial: Trial, seeds: Sequence[int]) -> Iterator[Trial]:
    """Yield other rankings of a trial's items: random ones, and the perfect one reversed."""
    yield trial.ranked(N_LEVELS - 1 - trial.perfect.levels)
    for seed in seeds:
        yield trial.ranked(np.random.default_rng(seed).integers(0, N_LEVELS, trial.levels.shape))
