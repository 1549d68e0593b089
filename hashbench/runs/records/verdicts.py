"""Verdicts over the records of a run: which methods are separable from the best at their code length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hashbench.evaluation.statistics import Comparison, compare
from hashbench.files.hashing import canonical_hash
from hashbench.runs.records.record import Record
from hashbench.runs.records.setting import Setting, setting_of
from hashbench.runs.records.store import Store

Verdicts = dict[tuple[str, str], Comparison]
"""By `group_of` a record, and by metric."""


def group_of(record: Record) -> str:
    """Return what records have in common that differ in the seed only."""
    return canonical_hash({key: value for key, value in record.config.items() if key != "seed"})


def method_of(record: Record) -> str:
    """Return what records of one method with its parameters have in common, whatever their code length and seed."""
    return canonical_hash({key: value for key, value in record.config.items() if key not in ("n_bits", "seed")})


def column_of(record: Record) -> tuple[Setting, int]:
    """Return what records have in common that may be compared: their setting and code length."""
    return setting_of(record), record.config["n_bits"]


def by_column(records: Iterable[Record]) -> dict[tuple[Setting, int], dict[str, list[Record]]]:
    """Return the records that ended well, by column and by group, each group one of seeds."""
    columns: dict[tuple[Setting, int], dict[str, list[Record]]] = {}
    for record in records:
        if record.status == "ok":
            columns.setdefault(column_of(record), {}).setdefault(group_of(record), []).append(record)
    return columns


def verdicts(records: Sequence[Record], store: Store) -> Verdicts:
    """Compare the methods of each column by each metric.

    Raises
    ------
    InputError
        A record's arrays cannot be read.
    """
    compared: Verdicts = {}
    for column in by_column(records).values():
        metrics = _common_metrics(column)
        values = {group: per_query(seeds, metrics, store) for group, seeds in column.items()}
        for metric in metrics:
            by_group = {group: of[metric] for group, of in values.items()}
            compared |= {(group, metric): one for group, one in compare(by_group).items()}
    return compared


def _common_metrics(column: dict[str, list[Record]]) -> list[str]:
    records = [record for seeds in column.values() for record in seeds]
    return [name for name in records[0].metrics if all(name in record.metrics for record in records)]


def per_query(seeds: Sequence[Record], metrics: Sequence[str], store: Store) -> dict[str, np.ndarray]:
    """Return each metric's values: of shape (n_queries,) for a deterministic method, else (n_seeds, n_queries).

    Each record's file is read once.
    """
    rows = []
    for record in seeds:
        arrays = store.arrays(record.id)
        rows.append([arrays[f"per_query:{metric}"] for metric in metrics])
    by_metric = dict(zip(metrics, map(list, zip(*rows, strict=True)), strict=True))
    if seeds[0].config["seed"] is None:
        return {metric: values[0] for metric, values in by_metric.items()}
    return {metric: np.stack(values) for metric, values in by_metric.items()}
