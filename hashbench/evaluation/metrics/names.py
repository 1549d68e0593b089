"""Metrics by name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hashbench.evaluation.metrics.average_precision import MAP, MAPWithin, WeightedMAP
from hashbench.evaluation.metrics.base import Metric
from hashbench.evaluation.metrics.first_hit import MRR, SuccessAt
from hashbench.evaluation.metrics.gain import ACG, NDCG
from hashbench.evaluation.metrics.neighbors import NeighborRecall
from hashbench.evaluation.metrics.precision import Lookup, PrecisionAt, RecallAt, RPrecision
from hashbench.evaluation.metrics.reading import MetricReading
from hashbench.evaluation.readings import split_reading

KINDS: tuple[type[Metric], ...] = (
    MAP,
    MAPWithin,
    WeightedMAP,
    SuccessAt,
    MRR,
    NDCG,
    ACG,
    NeighborRecall,
    PrecisionAt,
    RecallAt,
    Lookup,
    RPrecision,
)
"""hashbench's metrics; those of plugins are named where they are used."""


def parse(name: str) -> Metric:
    """Return hashbench's metric of a column name, such as ``mAP@1000``, ``P@100`` or ``mAP@all unseen@all``.

    Raises
    ------
    ValueError
        No metric has that name, its cut-off is below 1, or the metric writes its name otherwise.
    """
    plain, reading = split_reading(name)
    for kind in KINDS:
        metric = named(kind, plain)
        if metric is not None:
            return MetricReading(metric, reading) if reading else metric
    raise ValueError(f"unknown metric {name!r}: expected {'; '.join(kind.forms for kind in KINDS)}")


def named(kind: type[Metric], name: str) -> Metric | None:
    """Return the metric of a class that has a name; None where the class has no such names.

    Raises
    ------
    ValueError
        Its cut-off is below 1, or the metric writes its name otherwise.
    """
    match = re.fullmatch(kind.pattern, name, re.ASCII)
    if match is None:
        return None
    metric = kind.from_groups(match.groupdict())
    if str(metric) != name:
        raise ValueError(f"unknown metric {name!r}: write {metric}")
    return metric


def metrics_of(names: Iterable[str | Metric]) -> list[Metric]:
    """Return metrics that are given by name, or as they are.

    Raises
    ------
    ValueError
        No metric has a name, or something else is given.
    """
    metrics = [parse(one) if isinstance(one, str) else one for one in names]
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ValueError(
                f"metrics has {metric!r:.60}, expected a name such as 'mAP@all', or an instance of a Metric"
            )
    return metrics
