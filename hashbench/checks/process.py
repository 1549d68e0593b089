"""Checks of what a plugin of any kind leaves behind in the process that runs it."""

from __future__ import annotations

from typing import Any

from hashbench.checks.check import DATASETS, METHODS, METRICS, QUANTIZERS, check
from hashbench.checks.dataset_trial import Trial
from hashbench.checks.estimator_trial import N_QUERIES, fit, gaussian, make
from hashbench.checks.left_behind import GENERATOR, Watch
from hashbench.checks.metric_trial import examples_of, trials_of
from hashbench.contract.quantizer import Quantizer
from hashbench.evaluation.metrics import Metric


@check(METHODS, QUANTIZERS, DATASETS, METRICS, after="check_loads")
def check_process_is_left_alone(subject: Any) -> None:
    """Whatever the plugin does leaves the process as it was: numpy's errors, torch's defaults, timers, threads."""
    changed = {what: [part for part in parts if part != GENERATOR] for what, parts in _left_behind(subject).items()}
    problems = [f"{what} leaves changed behind: {', '.join(parts)}" for what, parts in changed.items() if parts]
    assert not problems, "; ".join(problems)


@check(METHODS, QUANTIZERS, DATASETS, METRICS, after="check_loads")
def check_global_random_state_is_left_alone(subject: Any) -> None:
    """Nothing that the plugin does moves numpy's global generator."""
    moving = [what for what, parts in _left_behind(subject).items() if GENERATOR in parts]
    assert not moving, f"{' and '.join(moving)} moves {GENERATOR}"


def _left_behind(subject: Any) -> dict[str, list[str]]:
    """Use a plugin; return what each of its methods has left changed."""
    if isinstance(subject, Trial):
        return subject.left_behind
    if issubclass(subject, Metric):
        return _left_by_metric(subject)
    watch, X, estimator = Watch(), gaussian(), make(subject)
    with watch("fit"):
        fit(estimator, X)
    with watch("encode"):
        codes = estimator.encode(X)
    if isinstance(estimator, Quantizer):
        with watch("distances"):
            estimator.distances(X[:N_QUERIES], codes)
        with watch("search"):
            estimator.searcher(codes)(X[:N_QUERIES], N_QUERIES)
    return watch.changed


def _left_by_metric(metric_class: type[Metric]) -> dict[str, list[str]]:
    watch = Watch()
    for metric in examples_of(metric_class):
        with watch("per_query"):
            metric.per_query(trials_of(metric)[0].histograms)
    return watch.changed
