"""Verdicts over records: which methods are separable from the best at their code length.

A board is all records of one setting: they agree in data, protocol, features, the metrics' version and whether labels
were read.
Methods are compared at each of its code lengths; how far seeds scatter is estimated from all of them. So the same
records give the same verdicts, whether they are in a run's tables or published. Only where there are imported
codes too, a run compares them with what was trained, and a leaderboard does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from hashbench.evaluation.statistics import Comparison, compare_board
from hashbench.evaluation.variance import Sample
from hashbench.files.hashing import canonical_hash
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.results.metric_infos import infos_of
from hashbench.results.setting import Setting, settings_of

Verdicts = dict[tuple[str, str], Comparison]
"""Comparisons by `group_of` a record and metric."""
Compared = dict[str, Comparison]
"""Comparisons by metric."""


def group_of(record: Record) -> str:
    """Return what records have in common that differ in the seed only."""
    return canonical_hash({key: value for key, value in record.config.items() if key != "seed"})


def method_of(record: Record) -> str:
    """Return what records of one method with its parameters have in common, whatever their code length and seed."""
    return canonical_hash({key: value for key, value in record.config.items() if key not in ("n_bits", "seed")})


def boards(records: Iterable[Record]) -> list[dict[int, dict[str, list[Record]]]]:
    """Return the records that ended well by setting; of each by code length and by method, one for each seed."""
    found: dict[Setting, dict[int, dict[str, list[Record]]]] = {}
    ended_well = [record for record in records if record.status == "ok"]
    for record, setting in zip(ended_well, settings_of(ended_well), strict=True):
        column = found.setdefault(setting, {}).setdefault(record.config["n_bits"], {})
        column.setdefault(method_of(record), []).append(record)
    return list(found.values())


def verdicts(records: Sequence[Record], store: Store) -> Verdicts:
    """Compare the methods of each board by each metric.

    Raises
    ------
    InputError
        A record's arrays cannot be read.
    """
    compared: Verdicts = {}
    lower = {name for name, info in infos_of(records).items() if info.better == "lower"}
    for board in boards(records):
        samples = {
            n_bits: {method: _samples(seeds, store) for method, seeds in column.items()}
            for n_bits, column in board.items()
        }
        for (n_bits, method), by_metric in compare_methods(samples, lower).items():
            group = group_of(board[n_bits][method][0])
            compared |= {(group, metric): one for metric, one in by_metric.items()}
    return compared


def compare_methods(
    board: Mapping[int, Mapping[str, Mapping[str, Sample]]], lower: Collection[str] = ()
) -> dict[tuple[int, str], Compared]:
    """Compare the methods of a board at each code length, by each metric that all of that length have.

    Parameters
    ----------
    board : mapping
        By code length, method and metric.
    lower : collection of str
        The metrics of which lower values are better.

    Returns
    -------
    dict from (int, str) to dict from str to Comparison
        By code length and method, then by metric.
    """
    result: dict[tuple[int, str], Compared] = {(n, method): {} for n, column in board.items() for method in column}
    common = {n: set.intersection(*(set(of) for of in column.values())) for n, column in board.items()}
    for metric in sorted(set.union(*common.values())):
        columns = {
            n: {method: of[metric] for method, of in column.items()}
            for n, column in board.items()
            if metric in common[n]
        }
        for n, compared in compare_board(columns, better="lower" if metric in lower else "higher").items():
            for method, one in compared.items():
                result[n, method][metric] = one
    return result


def _samples(seeds: Sequence[Record], store: Store) -> dict[str, Sample]:
    metrics = [name for name in seeds[0].metrics if all(name in record.metrics for record in seeds)]
    return {metric: Sample.of(values) for metric, values in per_query(seeds, metrics, store).items()}


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
