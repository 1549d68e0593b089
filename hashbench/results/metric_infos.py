"""The metrics of records: title, axis and direction of each, and which ones a report shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hashbench.evaluation.metrics import headline, parse
from hashbench.records.metric_info import MetricInfo
from hashbench.records.record import Record


def info_of(name: str) -> MetricInfo:
    """Return what a metric of a protocol is; of one that this version does not know, that higher is better."""
    try:
        return MetricInfo.of(parse(name))
    except ValueError:
        return MetricInfo(name, name, name)


def infos_of(records: Iterable[Record]) -> dict[str, MetricInfo]:
    """Return what the metrics of records are, by name."""
    infos: dict[str, MetricInfo] = {}
    for record in records:
        added = record.added
        for name in record.metrics:
            if name not in infos:
                infos[name] = added[name] if name in added else info_of(name)
    return infos


def shown_metrics(records: Iterable[Record]) -> list[str]:
    """Return the metrics that get a table and a figure: the headline ones, and those that the run has added."""
    records = list(records)
    names = dict.fromkeys(name for record in records for name in record.metrics)
    added = {name for record in records for name in record.added_metrics}
    first = headline(names)
    return [*first, *(name for name in names if name in added and name not in first)]


def of_one_version(records: Sequence[Record]) -> list[Record]:
    """Return records whose added metrics come from the same plugin code: the one that the newest record names.

    After a plugin of a metric was edited, a run computes the values of its cells again. Those of other cells of the
    directory are of the old code, and are dropped here.
    """
    newest: dict[str, str] = {}
    for record in sorted(records, key=lambda one: one.date):
        newest |= {name: info.source for name, info in record.added.items()}
    return [
        _without(record, {name for name, info in record.added.items() if info.source != newest[name]})
        for record in records
    ]


def _without(record: Record, names: set[str]) -> Record:
    if not names:
        return record
    kept = {name: value for name, value in record.metrics.items() if name not in names}
    added = {name: fields for name, fields in record.added_metrics.items() if name not in names}
    return replace(record, metrics=kept, added_metrics=added)
