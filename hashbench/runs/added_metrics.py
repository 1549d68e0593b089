"""Metrics that a run adds to the protocol's: which cells can have them, their values, and cells that lack them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.errors import InputError
from hashbench.evaluation.evaluate import evaluate
from hashbench.evaluation.metrics import Metric, MetricReading, NeighborRecall
from hashbench.files.schema import Misfit, checked
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state
from hashbench.plugins.metric_names import Found, find_metrics
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr
from hashbench.records.array_schema import CODES, VALUES
from hashbench.records.metric_info import AddedMetric, MetricInfo
from hashbench.records.record import OWN, Record
from hashbench.records.store import Store
from hashbench.runs.job import Job
from hashbench.runs.workbench import CANDIDATES


class RequestedMetrics:
    """The metrics that the user adds to the protocols'.

    Parameters
    ----------
    names : iterable of str
    registry : Registry

    Raises
    ------
    InputError
        No metric has a name, two have it, or a plugin's cannot be used.
    """

    def __init__(self, names: Iterable[str], registry: Registry) -> None:
        self._requested = [(found.metric, _info_of(found)) for found in find_metrics(names, registry)]
        self._had: set[str] = set()
        self._reasons: dict[str, dict[str, None]] = {}

    def of(self, dataset: Dataset, distance: str, protocol: Sequence[str]) -> tuple[MetricInfo, ...]:
        """Return those that a cell can have and its protocol has not."""
        added = []
        for metric, info in self._requested:
            reason = "" if info.name in protocol else why_not(metric, dataset, distance)
            if reason:
                self._reasons.setdefault(info.name, {})[reason] = None
                continue
            self._had.add(info.name)
            added += [] if info.name in protocol else [info]
        return tuple(added)

    def say_where_not(self) -> None:
        """Say which metrics some cells cannot have, and why.

        Raises
        ------
        InputError
            No cell can have one.
        """
        for name, reasons in self._reasons.items():
            if name not in self._had:
                raise InputError(f"--metrics {name}: {'; '.join(reasons)}; leave it out")
            to_stderr(f"--metrics {name} is left out of some cells: {'; '.join(reasons)}")


def _info_of(found: Found) -> MetricInfo:
    """Return what is kept of a metric that the user names.

    Raises
    ------
    InputError
        A plugin's metric does not say what it must.
    """
    try:
        with plugin_code():
            info = MetricInfo.of(found.metric, found.source)
        checked(info.fields(), AddedMetric)
    except Misfit as error:
        raise InputError(f"--metrics {found.metric} ({found.origin}): {error}") from error
    except Exception as error:
        raise InputError(f"--metrics {found.metric} ({found.origin}): {failure_of(error)}") from error
    return info


def why_not(metric: Metric, dataset: Dataset, distance: str) -> str:
    """Return why the cells of a data set and distance cannot have a metric; empty where they can."""
    n_neighbors = 0 if dataset.neighbors is None else dataset.neighbors.shape[1]
    if metric.n_neighbors > n_neighbors:
        has = f"{n_neighbors}" if n_neighbors else "labels and none"
        return f"it needs {metric.n_neighbors} true neighbours of each query, {dataset.protocol.name} has {has}"
    if isinstance(metric, MetricReading) and dataset.unseen is None:
        return f"it is of {metric.reading}, {dataset.protocol.name} has no unseen classes (choose them: [unseen=SHARE])"
    if metric.by_radius and distance != "hamming":
        return f"it is within a Hamming radius, which --distance {distance} has not"
    if distance == OWN:
        if dataset.neighbors is None:
            return "a quantizer's codes are scored by the protocol's metrics alone"
        if type(metric) is not NeighborRecall:  # a plugin's class is computed from a ranking by distance
            return "a quantizer's codes are searched, and scored by recall of true neighbours alone"
        if (metric.among or metric.k) > CANDIDATES:
            return f"of a quantizer's search the first {CANDIDATES} are looked at"
    return ""


@dataclass
class AddedScores:
    """What the added metrics of a cell have given.

    Attributes
    ----------
    per_query : dict from str to ndarray of shape (n_queries,), float64
    infos : dict from str to MetricInfo
        Of a metric without values, with the reason.
    """

    per_query: dict[str, np.ndarray] = field(default_factory=dict)
    infos: dict[str, MetricInfo] = field(default_factory=dict)

    def of_record(self, metrics: Mapping[str, float], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return fields of a record: its metrics with the added ones, and what is kept of these.

        Parameters
        ----------
        metrics : mapping
            The record's, of the protocol and such as were added before.
        before : mapping, optional
            The record's ``added_metrics``.
        """
        kept = {name: value for name, value in metrics.items() if name not in self.infos}
        means = {name: float(values.mean()) for name, values in self.per_query.items()}
        infos = {name: info.fields() for name, info in self.infos.items()}
        return {"metrics": kept | means, "added_metrics": dict(before or {}) | infos}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The values per query as a record keeps them."""
        return {f"per_query:{name}": values for name, values in self.per_query.items()}


def added_scores(
    added: Sequence[MetricInfo],
    registry: Registry,
    queries: np.ndarray,
    database_codes: np.ndarray,
    **about: Any,
) -> AddedScores:
    """Return the values of added metrics; one that raises, or returns what cannot be values, is left out.

    A metric is a plugin's code, and the training that it scores may have taken days: its failure is its alone, and not
    the cell's.

    Parameters
    ----------
    added : sequence of MetricInfo
    registry : Registry
        That has the plugins.
    queries, database_codes : ndarray
        What `hashbench.evaluate` takes.
    **about
        Its other arguments.
    """
    scores = AddedScores()
    for info in added:
        try:
            with kept_state(), plugin_code():
                (found,) = find_metrics([info.name], registry)
                if found.source != info.source:
                    raise InputError("its file was edited while the run went on; run again")
                scores.per_query[info.name] = evaluate(
                    queries, database_codes, metrics=[found.metric], **about
                ).per_query[info.name]
            scores.infos[info.name] = info
        except Exception as error:
            scores.infos[info.name] = replace(info, left_out=failure_of(error))
    return scores


def scored_again(record: Record, job: Job, store: Store, registry: Registry, retry_failed: bool) -> Record:
    """Return a finished record with the added metrics that it lacks, from its kept codes, and write it.

    Its other metrics, its timings and its date stay.

    Raises
    ------
    InputError
        Its codes or labels cannot be read, or the record cannot be written.
    """
    names, arrays = job.lacks(record, retry_failed), store.arrays(record.id)
    scores = added_scores(
        [info for info in job.added if info.name in names],
        registry,
        arrays[VALUES if record.is_asymmetric else CODES[0]],
        arrays[CODES[1]],
        distance=job.distance,
        n_bits=job.n_bits,
        **store.relevance(job.config["data"]),
    )
    values = scores.of_record(record.metrics, record.added_metrics)
    stale = {f"per_query:{name}" for name in names}
    kept = {name: array for name, array in arrays.items() if name not in stale}
    again = replace(record, **values)
    store.write(again, kept | scores.arrays)
    return again
