"""Settings of a leaderboard: the rows of a CSV file that ``hashbench publish`` wrote."""

from __future__ import annotations

from pathlib import Path

from hashbench.errors import InputError
from hashbench.reports.leaderboards import csv_files
from hashbench.reports.leaderboards.checks import problems_of
from hashbench.reports.leaderboards.columns import TAIL, Line
from hashbench.reports.leaderboards.published import lines_by_setting, row_of
from hashbench.reports.page.setting import Setting, listed, shown
from hashbench.results.rows import TIMINGS
from hashbench.results.setting import named

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
        raise InputError(f"{path} cannot be reported: {shown(problems[0])}; {_remedy(path)}")
    entries = csv_files.read_entries(path.parent)
    groups = lines_by_setting(path)
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
                rows=[row_of(line, entries) for line in lines],
                evidence=[_evidence(line) for line in lines],
                notes=[NO_CODES],
            )
        )
    return settings


def _remedy(path: Path) -> str:
    """Return what to do about a file that is no leaderboard."""
    try:
        header, _ = csv_files.parse(csv_files.read_bytes(path))
    except csv_files.Unreadable:
        return "name a run's directory, or a CSV file that hashbench publish wrote"
    if set(header) >= RUNS_OWN:
        return f"this is a run's table: name its directory, {path.parent}"
    return "name a run's directory, or a CSV file that hashbench publish wrote, with the JSON files next to it"


def _evidence(line: Line) -> dict[str, str]:
    named = {"method": line["method"], "bits": line["n_bits"], "seeds": line["seeds"]}
    rest = {column.name: line[column.name] for column in TAIL if column.name not in TIMINGS}
    return {name: shown(value) for name, value in (named | rest).items()}
