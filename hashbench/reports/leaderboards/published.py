"""A leaderboard read back: its rows by setting, as a run's results are."""

from __future__ import annotations

from pathlib import Path

from hashbench.reports.leaderboards import csv_files
from hashbench.reports.leaderboards.checks import read_rows
from hashbench.reports.leaderboards.columns import VERDICT, Line, metrics_in
from hashbench.reports.leaderboards.csv_files import Entries
from hashbench.results.metric_infos import info_of
from hashbench.results.rows import IMPORTED, TIMINGS, Row, Score
from hashbench.results.setting import Setting, grouped_ascending


def lines_by_setting(path: Path) -> dict[Setting, list[Line]]:
    """Return the lines of a leaderboard that has no problem, by setting, settings ascending."""
    entries = csv_files.read_entries(path.parent)
    return grouped_ascending(read_rows(path), lambda line: csv_files.setting_of(line, entries))


def row_of(line: Line, entries: Entries) -> Row:
    """Return a line as a row; it has no records."""
    method = entries.methods[line["params"]]
    return Row(
        label=line["method"] + (IMPORTED if line["origin"] else ""),
        config={"method": method["method"], "source": line["source"], "params": method["params"]},
        n_bits=int(line["n_bits"]),
        n_seeds=int(line["n_seeds"]),
        seeds=line["seeds"],
        scores={name: _score(line, name) for name in metrics_in(line) if line[name]},
        timings={name: float(line[name]) for name in TIMINGS if line.get(name)},
        uses_labels=line["uses_labels"] == "True",
        date=line["date"],
    )


def _score(line: Line, metric: str) -> Score:
    std, low, high = (float(line[metric + end]) if line[metric + end] else None for end in (" std", " low", " high"))
    info = info_of(metric)
    verdict = line[metric + VERDICT]
    return Score(
        float(line[metric]),
        std,
        int(line["n_seeds"]),
        low,
        high,
        verdict,
        info.better,
        "" if info.axis == metric else info.axis,
    )
