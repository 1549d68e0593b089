"""Reads tables for papers from a run's records or from a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hashbench.errors import InputError, did_you_mean
from hashbench.evaluation.metrics import headline
from hashbench.reports.leaderboards.checks import problems_of, read_rows
from hashbench.reports.leaderboards.columns import SETTING, VERDICT, Row, metrics_in
from hashbench.reports.papers.grid import Grid, Score
from hashbench.runs.records.record import Record
from hashbench.runs.records.store import open_results
from hashbench.runs.records.verdicts import COMMON, Verdicts, group_of, verdicts

Setting = tuple[str, ...]


def grids_of(path: Path, metrics: Sequence[str] = ()) -> list[Grid]:
    """Return a table for each setting and metric.

    Parameters
    ----------
    path : Path
        A run's output directory, or a leaderboard.
    metrics : sequence of str
        The headline ones by default.

    Raises
    ------
    InputError
        It is neither, holds nothing that was scored, or lacks a metric.
    """
    if path.is_dir():
        return _of_run(path, metrics)
    if not path.is_file():
        raise InputError(f"{path} is not there; name a run's directory or a leaderboard's CSV file")
    problems = problems_of(path)
    if problems:
        raise InputError(f"{path} is not a valid leaderboard: {problems[0]}; of a run, name the directory")
    return _of_board(read_rows(path), metrics)


def _of_run(path: Path, metrics: Sequence[str]) -> list[Grid]:
    store = open_results(path)
    records = [record for record in store if record.status == "ok"]
    if not records:
        raise InputError(f"{path} holds no record that ended well: there is nothing to show")
    names = _known(metrics, {name for record in records for name in record.metrics})
    compared = verdicts(records, store)
    grids: dict[tuple[Setting, str], Grid] = {}
    for seeds in _by_row(records):
        for name in names:
            if all(name in record.metrics for record in seeds):
                grid = grids.setdefault((_setting(seeds[0]), name), _empty(seeds[0], name))
                score = _score(seeds, name, compared)
                grid.scores.setdefault(seeds[0].label, {})[seeds[0].config["n_bits"]] = score
    return list(grids.values())


def _by_row(records: Sequence[Record]) -> Iterable[list[Record]]:
    """Yield the seeds of each method; where a label stands for several, such as of edited plugins, the newest."""
    rows: dict[tuple[Setting, str, int], list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.config["n_bits"], record.label, record.date)):
        rows.setdefault((_setting(record), record.label, record.config["n_bits"]), []).append(record)
    for row in rows.values():
        last = group_of(row[-1])
        yield [record for record in row if group_of(record) == last]


def _setting(record: Record) -> Setting:
    return tuple(str(record.config[key]) for key in COMMON)


def _empty(record: Record, metric: str) -> Grid:
    return Grid(record.config["dataset"], record.config["protocol"], record.backbone, metric, {})


def _score(seeds: Sequence[Record], metric: str, compared: Verdicts) -> Score:
    values = [record.metrics[metric] for record in seeds]
    verdict = compared.get((group_of(seeds[0]), metric))
    return Score(
        float(np.mean(values)),
        float(np.std(values, ddof=1)) if len(values) > 1 else None,
        len(values),
        verdict.verdict if verdict else "",
    )


def _of_board(rows: Sequence[Row], metrics: Sequence[str]) -> list[Grid]:
    grids: dict[tuple[Setting, str], Grid] = {}
    for name in _known(metrics, metrics_in(rows[0])):
        for row in rows:
            if not row[name]:
                continue
            setting = tuple(row[column] for column in SETTING if column != "n_bits")
            empty = Grid(row["dataset"], row["protocol"], row["backbone"], name, {})
            std = row[f"{name} std"]
            score = Score(float(row[name]), float(std) if std else None, int(row["n_seeds"]), row[name + VERDICT])
            grids.setdefault((setting, name), empty).scores.setdefault(row["method"], {})[int(row["n_bits"])] = score
    return list(grids.values())


def _known(metrics: Sequence[str], known: Iterable[str]) -> Sequence[str]:
    known = sorted(known)
    for name in metrics:
        if name not in known:
            raise InputError(f"--metric {name}: {did_you_mean(name, known) or 'there is ' + ', '.join(known)}")
    return metrics or headline(known)
