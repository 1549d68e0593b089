"""Reads tables for papers from a run's records or from a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hashbench.errors import InputError, did_you_mean
from hashbench.evaluation.metrics import headline
from hashbench.records.record import Record
from hashbench.records.store import open_results
from hashbench.reports.leaderboards import csv_files
from hashbench.reports.leaderboards.checks import problems_of
from hashbench.reports.leaderboards.columns import metrics_in
from hashbench.reports.leaderboards.published import lines_by_setting, row_of
from hashbench.reports.papers.grid import Grid
from hashbench.results.metric_infos import of_one_version, shown_metrics
from hashbench.results.rows import Row, label_of, rows_of
from hashbench.results.setting import Named, Setting, by_setting, file_of, grouped, named
from hashbench.results.verdicts import Verdicts, verdicts


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
        ``path`` is neither a run nor a leaderboard, holds no scores, or lacks a metric.
    """
    if path.is_dir():
        return _of_run(path, metrics)
    if not path.is_file():
        raise InputError(f"{path} is not there; name a run's directory or a leaderboard's CSV file")
    problems = problems_of(path)
    if problems:
        raise InputError(f"{path} is not a valid leaderboard: {problems[0]}; of a run, name the directory")
    return _of_board(path, metrics)


def _of_run(path: Path, metrics: Sequence[str]) -> list[Grid]:
    store = open_results(path)
    records = of_one_version([record for record in store if record.status == "ok"])
    if not records:
        raise InputError(f"{path} holds no record that ended well: there is nothing to show")
    wanted = _known(metrics, {name for record in records for name in record.metrics}, shown_metrics(records))
    compared = verdicts(records, store)
    settings = by_setting(sorted(records, key=lambda record: (record.config["n_bits"], record.label, record.date)))
    names = named({setting: file_of(members) for setting, members in settings.items()})
    grids: dict[tuple[Setting, str], Grid] = {}
    for setting, members in settings.items():
        for row in _newest(members, compared):
            for metric in wanted:
                if all(metric in record.metrics for record in row.records):
                    grid = grids.setdefault((setting, metric), _empty(names[setting], metric))
                    grid.scores.setdefault(row.label, {})[row.n_bits] = row.scores[metric]
    return list(grids.values())


def _newest(records: Iterable[Record], compared: Verdicts) -> list[Row]:
    """Return the rows of a setting; where a label is that of several, such as of edited plugins, the newest."""
    same = grouped(rows_of(records), lambda row: (label_of(row.newest), row.n_bits)).values()
    newest = [max(rows, key=lambda row: row.newest.date) for rows in same]
    return rows_of((record for row in newest for record in row.records), compared=compared)


def _empty(name: Named, metric: str) -> Grid:
    return Grid(name.dataset, name.protocol, name.backbone, metric, {})


def _of_board(path: Path, metrics: Sequence[str]) -> list[Grid]:
    entries, settings = csv_files.read_entries(path.parent), lines_by_setting(path)
    names = named(dict.fromkeys(settings, ""))
    known = {name for lines in settings.values() for name in metrics_in(lines[0])}
    grids = []
    for metric in _known(metrics, known):
        for setting, lines in settings.items():
            grid = _empty(names[setting], metric)
            for row in (row_of(line, entries) for line in lines):
                if metric in row.scores:
                    grid.scores.setdefault(row.label, {})[row.n_bits] = row.scores[metric]
            grids += [grid] if grid.scores else []
    return grids


def _known(metrics: Sequence[str], known: Iterable[str], shown: Sequence[str] = ()) -> Sequence[str]:
    known = sorted(known)
    for name in metrics:
        if name not in known:
            raise InputError(f"--metric {name}: {did_you_mean(name, known) or 'there is ' + ', '.join(known)}")
    shown = metrics or shown or headline(known)
    if not shown:
        raise InputError(f"this version knows no metric to show by default; name one with --metric: {', '.join(known)}")
    return shown
