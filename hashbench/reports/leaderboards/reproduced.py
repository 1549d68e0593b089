"""Compares a leaderboard's rows with those of a run made elsewhere: equal, or within the spread between processors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hashbench.errors import InputError
from hashbench.files import schema
from hashbench.reports.leaderboards import csv_files
from hashbench.reports.leaderboards.checks import name_of, read_rows
from hashbench.reports.leaderboards.columns import SETTING, Line, identity, metrics_in

SPREAD = "spread.json"
"""Next to leaderboards: how far their metrics move between processors."""
DEFAULT = 0.005
"""The spread of a metric that `SPREAD` does not state. It is no measurement."""
EVERY_METHOD = "*"
MADE_BY = ("seeds", "params", "views", "engine", "source")
"""What decides numbers besides a row's identity and the processor."""
SHOWN = 16
"""Characters of a cell that a line repeats."""


class BoardSpread(msgspec.Struct, forbid_unknown_fields=True):
    """How far the metrics of a leaderboard move between processors.

    Attributes
    ----------
    measured : str
        How it was measured: which processors, methods and seeds.
    spread : dict from str to dict from str to float
        By method, as in the column ``method`` or without parameters, or ``*`` for all others; then by metric.
    """

    measured: schema.Line
    spread: dict[str, dict[str, schema.Share]]

    def of(self, row: Line, metric: str) -> float:
        """Return by how much a row's metric may differ on another processor."""
        for method in (row["method"], name_of(row), EVERY_METHOD):
            if metric in self.spread.get(method, {}):
                return self.spread[method][metric]
        return DEFAULT


NOT_MEASURED = BoardSpread(schema.Line(f"not measured for this leaderboard; {DEFAULT} by default"), {})


def read_spread(board: Path) -> BoardSpread:
    """Return the spread that is stated for a leaderboard.

    Raises
    ------
    InputError
        The file next to the leaderboard is damaged.
    """
    path = board.parent / SPREAD
    if not path.exists():
        return NOT_MEASURED
    try:
        boards = schema.decoded(csv_files.text_of(csv_files.read_bytes(path)), dict[str, BoardSpread])
    except (csv_files.Unreadable, schema.Misfit) as error:
        raise InputError(f"{path} cannot be used: {error}; take it from git again") from error
    return BoardSpread(**boards[board.stem]) if board.stem in boards else NOT_MEASURED


@dataclass
class Reproduction:
    """What comparing a run with a leaderboard has shown.

    Attributes
    ----------
    equal, within, beyond : list of str
        Rows with the same numbers, rows that differ by no more than the spread, and rows that differ by more.
    passed_over : list of str
        Rows of the run that cannot be compared, and why.
    measured : str
        How the spread was measured.
    """

    measured: str
    equal: list[str] = field(default_factory=list)
    within: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def compare_with_board(board: Path, made: Sequence[Line]) -> Reproduction:
    """Compare the rows that a run gives with those of a leaderboard.

    Parameters
    ----------
    board : Path
        A leaderboard that has no problem.
    made : sequence of dict from str to str
        From `hashbench.reports.leaderboards.rows_of_records.rows_of`.

    Raises
    ------
    InputError
        The file that states the spread is damaged.
    """
    published, spread = read_rows(board), read_spread(board)
    by_identity = {identity(row): row for row in published}
    result = Reproduction(spread.measured)
    for one in made:
        which = f"{one['method']} at {one['n_bits']} bits"
        row = by_identity.get(identity(one))
        why = _why_not_there(one, published) if row is None else _why_not_comparable(row, one)
        if row is None or why:
            result.passed_over.append(f"{which}: {why}")
            continue
        moved = {
            metric: round(float(one[metric]) - float(row[metric]), 5)
            for metric in metrics_in(row)
            if row[metric] and one.get(metric)
        }
        listed = ", ".join(f"{metric} {by:+.5f} (spread {spread.of(row, metric):g})" for metric, by in moved.items())
        if not any(moved.values()):
            what = "codes and numbers" if _same_codes(row, one) else "numbers"
            result.equal.append(f"{which}: equal {what}")
        elif all(abs(by) <= spread.of(row, metric) for metric, by in moved.items()):
            result.within.append(f"{which}: {listed}")
        else:
            result.beyond.append(f"{which}: {listed}")
    return result


def _same_codes(row: Line, one: Line) -> bool:
    return bool(row["codes"]) and row["codes"] == one["codes"]


def _why_not_there(one: Line, published: Sequence[Line]) -> str:
    """Return why a leaderboard has no such row: what differs in the one that is nearest."""
    alike = [row for row in published if all(row[name] == one[name] for name in ("dataset", "method", "n_bits"))]
    if not alike:
        return "the leaderboard has no such row"
    differing = min(([name for name in SETTING if row[name] != one[name]] for row in alike), key=len)
    return f"the leaderboard's row has another {' and '.join(differing)}"


def _why_not_comparable(row: Line, one: Line) -> str:
    """Return why two rows cannot be expected to have the same numbers; empty where they can."""
    differing = [name for name in MADE_BY if row[name] != one[name]]
    if not differing:
        return ""
    first = row["seeds"].split()[:1] == one["seeds"].split()[:1] and _same_codes(row, one)
    name = differing[0]
    shown = f"{name} is {one[name][:SHOWN] or 'empty'}, the leaderboard has {row[name][:SHOWN] or 'nothing'}"
    return f"not compared, {shown}{'; its first seed has equal codes' if first else ''}"
