"""What a worker process does for tuning: it says what there is to tune, and plans trials."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.parameters import make_method
from hashbench.contract.search_space import Choice, Range, search_space
from hashbench.data.dataset import Dataset
from hashbench.data.protocol import VALIDATION, NameParts, Protocol, choose_protocol, is_validation
from hashbench.errors import InputError
from hashbench.evaluation.metrics import NeighborRecall, parse
from hashbench.guard.plugin_code import plugin_code
from hashbench.learning.deep import DeepMethod
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr
from hashbench.records.metric_info import MetricInfo
from hashbench.runs.job import Job
from hashbench.runs.plan import Request, cells_of, requests_of
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.tasks import keep_relevance
from hashbench.runs.workbench import open_workbench
from hashbench.tuning.options import NEIGHBOURS

NEIGHBOUR_RECALL = 100
"""Neighbours whose recall is the criterion without labels, unless the database has fewer items."""


@dataclass(frozen=True)
class Subject:
    """A method whose parameters are chosen.

    Attributes
    ----------
    label : str
        As the user wrote it; the parameters in it are fixed.
    space : dict of str to Range or Choice
        The other parameters that its search space has; empty if there are none.
    defaults : dict
        All of its parameters.
    sized : bool
        Whether it has a trial at each code length.
    epochs : int or None
        How many epochs it trains for; None if it has no epochs.
    n_train : int
        Items of the training set.
    """

    label: str
    space: dict[str, Range | Choice]
    defaults: dict[str, Any]
    sized: bool
    epochs: int | None
    n_train: int


@dataclass(frozen=True)
class Plan:
    """What is tuned, and by what.

    Attributes
    ----------
    subjects : tuple of Subject
    dataset : str
    protocol : str
        The name of the protocol of the trials.
    metric : MetricInfo
        That trials are compared by.
    recall : MetricInfo or None
        The recall of the features' neighbours that trials are scored by as well.
    first_metric : str
        The protocol's first metric.
    uses_labels : bool
        Whether the metric reads labels of the validation queries.
    """

    subjects: tuple[Subject, ...]
    dataset: str
    protocol: str
    metric: MetricInfo
    recall: MetricInfo | None
    first_metric: str
    uses_labels: bool

    @property
    def shown(self) -> list[str]:
        """Metrics of trials by which criteria are compared: the protocol's first and the recall of neighbours."""
        return [self.first_metric, *([] if self.recall is None else [self.recall.name])]


def plan_tuning(options: RunOptions, share: float, metric: str, criterion: str) -> Plan:
    """Return what there is to tune, and say what was read of the data.

    Parameters
    ----------
    options : RunOptions
        Of the trials, with the user's protocol.
    share : float
        Of the training set, for validation.
    metric : str
        Empty for the first one of the criterion.
    criterion : {"labels", "neighbours"}

    Raises
    ------
    InputError
        An option cannot be used, a search space is malformed, or a class has no validation query.
    """
    registry = _registry(tuple(options.plugins))
    options = replace(options, protocol=validation_protocol(options, share, registry))
    requests = requests_of(options, registry)
    jobs = {job.label: job for job in reversed(cells_of(options, registry=registry))}
    for line in dict.fromkeys(line for job in jobs.values() for line in job.read):
        to_stderr(line)
    first = next(iter(jobs.values()))
    dataset = open_workbench(first.setting, options).dataset
    _refuse_lonely_classes(dataset, share)
    _refuse_readers_of_queries(jobs)
    n_train = len(dataset.split.train)
    subjects = tuple(_subject(request, jobs[request.label], n_train) for request in requests)
    recall = None if dataset.labels is None else _feature_recall(dataset, metric if criterion == NEIGHBOURS else "")
    if criterion == NEIGHBOURS:
        chosen_by, uses_labels = _without_labels(jobs, metric, recall), False
    else:
        chosen_by, uses_labels = _metric_of(jobs.values(), metric), dataset.labels is not None
    return Plan(subjects, dataset.name, str(options.protocol), chosen_by, recall, first.metrics[0], uses_labels)


@functools.lru_cache(maxsize=1)
def _registry(plugins: tuple[Path, ...]) -> Registry:
    return Registry(plugins)


def validation_protocol(options: RunOptions, share: float, registry: Registry) -> str:
    """Return the name of the user's protocol with queries of the training set.

    Raises
    ------
    InputError
        The protocol is unknown, or names validation queries already.
    """
    with plugin_code():
        protocols: Sequence[Protocol] = registry.find("datasets", options.dataset).load()().protocols
    chosen = choose_protocol(protocols, options.protocol)
    if is_validation(chosen.name):
        raise InputError(
            f"--protocol {options.protocol}: name the protocol of the final scores; --validation sets the share of "
            "the training set that trials are scored on"
        )
    return chosen.choose({VALIDATION: share}).name


def _refuse_lonely_classes(dataset: Dataset, share: float) -> None:
    labels, split = dataset.labels, dataset.split
    if labels is None or labels.ndim > 1:
        return
    lonely = np.setdiff1d(labels[split.train], labels[split.query])
    if len(lonely):
        name = dataset.label_names[lonely[0]] if len(dataset.label_names) else lonely[0]
        n_items = np.bincount(np.concatenate([labels[split.train], labels[split.query]]))[lonely].min()
        least = math.ceil(1e4 / n_items) / 1e4
        raise InputError(
            f"--validation {share:g}: classes without a query: {len(lonely)}, such as {name}; give at least {least:g}"
        )


def _refuse_readers_of_queries(jobs: Mapping[str, Job]) -> None:
    for label, job in jobs.items():
        if NameParts.of(job.config["protocol"]).held_out:
            raise InputError(
                f"{label} looks at labels of half of the queries, in the final run those of the test; leave it out"
            )


def _subject(request: Request, job: Job, n_train: int) -> Subject:
    try:
        space = search_space(request.method_class)
    except ValueError as error:
        raise InputError(f"{error} ({request.plugin.origin})") from error
    free = {} if job.broken else {name: one for name, one in space.items() if name not in request.params}
    epochs = _epochs(request, job, n_train)
    return Subject(request.label, free, dict(job.config["params"]), request.sized, epochs, n_train)


def _epochs(request: Request, job: Job, n_train: int) -> int | None:
    epochs = job.config["params"].get("epochs")
    if epochs is None and "epochs" in job.config["params"] and issubclass(request.method_class, DeepMethod):
        with plugin_code():
            epochs = make_method(request.method_class, job.params).default_epochs(n_train)
    return epochs if isinstance(epochs, int) else None


def _feature_recall(dataset: Dataset, name: str) -> MetricInfo:
    """Return the recall of the features' neighbours that a user names; by default of the first 100."""
    name = name or f"recall@{min(NEIGHBOUR_RECALL, len(dataset.split.database))}"
    try:
        metric = parse(name)
    except ValueError as error:
        raise InputError(f"--metric {name}: {error}") from error
    if not isinstance(metric, NeighborRecall):
        raise InputError(
            f"--metric {name}: --criterion neighbours needs a recall of true neighbours, such as recall@100"
        )
    if metric.n_neighbors > len(dataset.split.database):
        raise InputError(f"--metric {name}: the database has {len(dataset.split.database):,} items; choose fewer")
    return MetricInfo.of(metric)


def _without_labels(jobs: Mapping[str, Job], metric: str, recall: MetricInfo | None) -> MetricInfo:
    """Return the metric of the criterion ``neighbours``."""
    if recall is None:
        return _metric_of(jobs.values(), metric)  # relevance is by neighbours
    for label, job in jobs.items():
        if job.uses_labels:
            raise InputError(f"--criterion neighbours: {label} reads labels; leave it out, or tune by labels")
        if job.kind == "quantizers":
            raise InputError(f"--criterion neighbours: {label} keeps no codes here; leave it out, or tune by labels")
    return recall


def _metric_of(jobs: Any, name: str) -> MetricInfo:
    """Return the metric of that name, which every method must be scored by; the protocol's first by default."""
    for job in jobs:
        known = {**{one: MetricInfo.of(parse(one)) for one in job.metrics}, **{one.name: one for one in job.added}}
        name = name or job.metrics[0]
        if name not in known:
            raise InputError(f"--metric {name}: {job.config['protocol']} has no such metric; it has {', '.join(known)}")
    return known[name]


def plan_trials(
    options: RunOptions, grids: Sequence[tuple[int | None, Sequence[str]]], recall: MetricInfo | None
) -> list[Job]:
    """Return the jobs of trials, in the order of code lengths and methods.

    Parameters
    ----------
    options : RunOptions
    grids : sequence of (int or None, sequence of str)
        Code lengths, None for methods that have one of their own; and labels of methods with parameters.
    recall : MetricInfo or None
        The recall of the features' neighbours to score methods by that read no labels.

    Raises
    ------
    InputError
        A trial would read labels of queries.
    """
    jobs: list[Job] = []
    for n_bits, labels in grids:
        bits = options.bits if n_bits is None else (n_bits,)
        one_grid = replace(options, methods=",".join(labels), bits=bits)
        jobs += cells_of(one_grid, registry=_registry(tuple(options.plugins)))
    _refuse_readers_of_queries({job.label: job for job in jobs})
    keep_relevance(jobs, options)
    by_recall = [job.kind == "methods" and not job.uses_labels for job in jobs]
    return [replace(job, feature_recall=recall) if by else job for job, by in zip(jobs, by_recall, strict=True)]
