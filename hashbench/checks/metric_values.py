"""Checks of metrics: names, values, ties, and which ranking is the best."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from hashbench.checks.check import LEVELS_ARE_GROUPS, METRICS, check
from hashbench.checks.metric_trial import Trial, examples_of, orders_of, rankings_of, trials_of
from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.metrics import Metric, named, values_of
from hashbench.files.paths import printable

CLOSE = 1e-9
LONGEST = 100
"""Characters of a name or a text."""
SEEDS = (1, 2, 3)
"""Seeds of random rankings."""


def _each(metric_class: type[Metric]) -> Iterator[tuple[Metric, Trial]]:
    for metric in examples_of(metric_class):
        for trial in trials_of(metric):
            yield metric, trial


@check(METRICS)
def check_names(metric_class: type[Metric]) -> None:
    """Its names are read back as they are written and fit in a table; title, direction and range are stated."""
    for metric in examples_of(metric_class):
        name = str(metric)
        again = named(metric_class, name)
        assert again == metric, f"{name!r} is read back as another metric: its fields are not the groups of its pattern"
        assert printable(name, LONGEST) == name, f"{name!r} is longer than {LONGEST} characters, or has odd ones"
        assert " " not in name, f"{name!r} has a space"
        assert "," not in name.partition("(")[0], f"{name!r} has a comma outside brackets, where --metrics splits"
        for attribute in ("title", "forms", "axis"):
            text = getattr(metric, attribute, "")
            fits = isinstance(text, str) and text.strip() and printable(text, LONGEST) == text
            assert fits, f"{attribute} is {text!r:.60}, expected a line of at most {LONGEST} characters"
    assert metric_class.better in ("higher", "lower"), (
        f"better is {metric_class.better!r}, expected 'higher' or 'lower'"
    )
    for attribute in ("low", "high"):
        bound = getattr(metric_class, attribute)
        assert bound is None or isinstance(bound, int | float), f"{attribute} is {bound!r}, expected a number or None"


@check(METRICS)
def check_values_are_in_range(metric_class: type[Metric]) -> None:
    """It gives one finite number per query, from ``low`` to ``high``, also where nothing is relevant, or all is."""
    for metric, trial in _each(metric_class):
        for ranking in (trial, trial.perfect, *rankings_of(trial, SEEDS)):
            values_of(metric, ranking.histograms)


@check(METRICS)
def check_is_deterministic(metric_class: type[Metric]) -> None:
    """The same histograms give the same values, and are left as they were."""
    for metric, trial in _each(metric_class):
        histograms = trial.histograms
        before = copy.deepcopy(histograms)
        first, second = values_of(metric, histograms).copy(), values_of(metric, histograms)
        assert np.array_equal(first, second), f"{metric} gives other values the second time"
        assert _are_equal(histograms, before), f"{metric} changes the histograms that it gets"


@check(METRICS)
def check_each_query_alone(metric_class: type[Metric]) -> None:
    """A query's value does not depend on the other queries."""
    for metric, trial in _each(metric_class):
        values, some = values_of(metric, trial.histograms), slice(0, len(trial.levels), 3)
        alone = Trial(trial.name, trial.grades[some], trial.levels[some], trial.kind, trial.depth)
        same = np.abs(values_of(metric, alone.histograms) - values[some]) <= CLOSE
        assert same.all(), f"{metric} gives a query another value among other queries ({trial.name})"


@check(METRICS)
def check_perfect_ranking_is_best(metric_class: type[Metric]) -> None:
    """No ranking is better than the perfect one, for any query, and the reversed one is worse for some."""
    sign = -1 if metric_class.better == "lower" else 1
    for metric, trial in _each(metric_class):
        best = sign * values_of(metric, trial.perfect.histograms)
        others = [sign * values_of(metric, ranking.histograms) for ranking in rankings_of(trial, SEEDS)]
        beaten = max(float((other - best).max()) for other in others)
        assert beaten <= CLOSE, (
            f"{metric}: {metric_class.better} is better, and another ranking beats the perfect one by {beaten:.3g} "
            f"({trial.name})"
        )
        assert (best > others[0] + CLOSE).any(), f"{metric} does not tell the perfect ranking from the reversed one"


@check(METRICS, only=LEVELS_ARE_GROUPS)
def check_ties_are_expectations(metric_class: type[Metric]) -> None:
    """The value over a group of ties is the mean over all its orders."""
    for metric, trial in _each(metric_class):
        tied, ordered = (values_of(metric, one.histograms) for one in orders_of(trial))
        expected = float(ordered.mean())
        assert abs(tied[0] - expected) <= CLOSE, (
            f"{metric} is {tied[0]:.6g} where items are tied, and {expected:.6g} in the mean over their orders "
            f"({trial.name})"
        )


@check(METRICS, only=LEVELS_ARE_GROUPS)
def check_levels_are_groups(metric_class: type[Metric]) -> None:
    """Levels without items change nothing: without ``by_radius`` levels are groups in order and no distances."""
    for metric, trial in _each(metric_class):
        histograms = trial.histograms
        same = np.abs(values_of(metric, _spread(histograms)) - values_of(metric, histograms)) <= CLOSE
        assert same.all(), f"{metric} depends on levels without items: set by_radius, or do not read their numbers"


def _spread(histograms: Histograms) -> Histograms:
    """Return histograms with an empty level before each one."""

    def spread(table: np.ndarray) -> np.ndarray:
        return np.insert(table, np.arange(table.shape[1]), 0, axis=1)

    shared = None if histograms.shared is None else spread(histograms.shared)
    nearest = {k: spread(table) for k, table in histograms.nearest.items()}
    tables = spread(histograms.total), spread(histograms.relevant), histograms.n_relevant
    return Histograms(*tables, shared, nearest, histograms.several_labels)


def _are_equal(one: Histograms, other: Histograms) -> bool:
    tables = [
        (one.total, other.total),
        (one.relevant, other.relevant),
        (one.n_relevant, other.n_relevant),
        *([(one.shared, other.shared)] if one.shared is not None and other.shared is not None else []),
        *((table, other.nearest[k]) for k, table in one.nearest.items()),
    ]
    return all(np.array_equal(mine, theirs) for mine, theirs in tables)
