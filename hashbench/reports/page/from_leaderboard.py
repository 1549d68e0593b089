"""Settings of a leaderboard: the rows of a CSV file that ``hashbench publish`` wrote."""

from __future__ import annotations

from pathlib import Path

from hashbench.errors import InputError
from hashbench.reports.leaderboards import board
from hashbench.reports.leaderboards.checks import problems_of, read_rows
from hashbench.reports.leaderboards.columns import TAIL, VERDICT, metrics_in
from hashbench.reports.leaderboards.columns import Row as Line
from hashbench.reports.page.setting import Row, Score, Setting, listed, shown
from hashbench.runs.records.results import TIMINGS
from hashbench.runs.records.setting import grouped_ascending, named

NO_CODES = "A leaderboard holds no codes and no curves: a run's directory gives those figures."
RUNS_OWN = {"seed", "status", "error"}
"""Columns of a run's results.csv, which people take for a leaderboard."""


def settings_of_leaderboard(path: Path) -> list[Setting]:
    """Return the settings of a leaderboard, with all code lengths.

    Raises
    ------
    InputError
        The file is not a valid leaderboard of this version.
    """
    problems = problems_of(path)
    if problems:
        raise InputError(f"{path} cannot be reported: {shown(problems[0])}; {_mend(path)}")
    entries = board.read_entries(path.parent)
    groups = grouped_ascending(read_rows(path), lambda line: board.setting_of(line, entries))
    names, settings = named(dict.fromkeys(groups, "")), []
    for setting, lines in groups.items():
        first = lines[0]
        settings.append(
            Setting(
                **vars(names[setting]),
                provenance=first["data_provenance"],
                origin=str(path),
                command="",
                facts={
                    "data and split, begin of SHA-256": first["data"],
                    "protocol, begin of SHA-256": first["protocol_hash"],
                    "features": listed(entries.features[first["features"]]),
                    "version of the metrics": first["engine"],
                },
                rows=[_row(line, entries) for line in lines],
                evidence=[_evidence(line) for line in lines],
                notes=[NO_CODES],
            )
        )
    return settings


def _mend(path: Path) -> str:
    """Return what to do about a file that is no leaderboard."""
    try:
        header, _ = board.parse(board.read_bytes(path))
    except board.Unreadable:
        return "name a run's directory, or a CSV file that hashbench publish wrote"
    if set(header) >= RUNS_OWN:
        return f"this is a run's table: name its directory, {path.parent}"
    return "name a run's directory, or a CSV file that hashbench publish wrote, with the JSON files beside it"


def _row(line: Line, entries: board.Entries) -> Row:
    method = entries.methods[line["params"]]
    return Row(
        label=shown(line["method"]),
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
    return Score(float(line[metric]), std, low, high, line[metric + VERDICT])


def _evidence(line: Line) -> dict[str, str]:
    named = {"method": line["method"], "bits": line["n_bits"], "seeds": line["seeds"]}
    rest = {column.name: line[column.name] for column in TAIL if column.name not in TIMINGS}
    return {name: shown(value) for name, value in (named | rest).items()}
