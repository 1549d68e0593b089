"""The field's metrics: values whose text is their column name.

Every metric is a function of distance histograms and gives one value per query; a query without anything
relevant counts 0. Ties are taken in expectation over all their orders, unless the name says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from hashbench.evaluation.metrics.average_precision import MAP, MAPWithin, WeightedMAP
from hashbench.evaluation.metrics.base import Better, Metric, values_of
from hashbench.evaluation.metrics.first_hit import MRR, SuccessAt
from hashbench.evaluation.metrics.gain import ACG, NDCG
from hashbench.evaluation.metrics.names import KINDS, metrics_of, named, parse
from hashbench.evaluation.metrics.neighbors import NeighborRecall
from hashbench.evaluation.metrics.precision import Lookup, PrecisionAt, RecallAt, RPrecision
from hashbench.evaluation.metrics.reading import MetricReading
from hashbench.evaluation.readings import READINGS, split_reading

__all__ = [
    "ACG",
    "KINDS",
    "MAP",
    "MRR",
    "NDCG",
    "VERSION",
    "Better",
    "Lookup",
    "MAPWithin",
    "Metric",
    "MetricReading",
    "NeighborRecall",
    "PrecisionAt",
    "RPrecision",
    "RecallAt",
    "SuccessAt",
    "WeightedMAP",
    "headline",
    "metrics_of",
    "named",
    "parse",
    "values_of",
]

VERSION = 1
"""Increased whenever a metric's value changes for the same codes."""


def headline(names: Iterable[str]) -> list[str]:
    """Return the metrics that get a separate table and figure, smallest cut-off first, then by reading.

    Where true neighbours are relevant these are the recalls, else the mean average precisions. Where none of these has
    a cut-off, the precisions at one are among them. Names that this version does not know are passed over: a record may
    have them from another one.
    """
    recalls: dict[str, tuple[float, int]] = {}
    averages: dict[str, tuple[float, int]] = {}
    precisions: dict[str, tuple[float, int]] = {}
    for name in names:
        try:
            plain, reading = split_reading(name)
            metric, place = parse(plain), READINGS.index(reading) if reading else 0
        except ValueError:
            continue
        if isinstance(metric, NeighborRecall):
            recalls[name] = metric.k, metric.among or 0
        elif isinstance(metric, MAP):
            averages[name] = metric.k or math.inf, place
        elif isinstance(metric, PrecisionAt):
            precisions[name] = metric.k, place
    whole = all(cutoff == math.inf for cutoff, _ in averages.values())
    shown = recalls or averages | (precisions if whole else {})
    return sorted(shown, key=shown.__getitem__)
