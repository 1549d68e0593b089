"""Reads leaderboards of hashbench 0.1's first format, which had JSON in their cells, no intervals and no verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hashbench.plugins.registry import Plugin
from hashbench.reports.leaderboards import board
from hashbench.reports.leaderboards.board import Entries, Unreadable
from hashbench.reports.leaderboards.cells import is_count
from hashbench.reports.leaderboards.checks import problems_in
from hashbench.reports.leaderboards.columns import Line, key_of
from hashbench.reports.leaderboards.evidence import label

MARKS = {"params", "features", "feature_key"}
"""Columns that only the older format has together."""


def is_older(path: Path) -> bool:
    """Return whether a file is a leaderboard of the older format."""
    try:
        return set(board.parse(board.read_bytes(path))[0]) >= MARKS
    except Unreadable:
        return False


def convert(path: Path, plugins: Mapping[str, Plugin]) -> tuple[list[Line], Entries]:
    """Return the rows of an older leaderboard in today's form.

    Which seeds a row rests on is not known, nor are its intervals and verdicts: those cells are empty.

    Parameters
    ----------
    path : Path
    plugins : mapping from str to Plugin
        The methods that are here: their defaults shorten the column ``method``.

    Raises
    ------
    Unreadable
        The file is damaged.
    """
    header, lines = board.parse(board.read_bytes(path))
    rows, entries = [], Entries()
    for number, line in enumerate(lines, 2):
        try:
            old = dict(zip(header, line, strict=True))
            row, recipes, method = _converted(old, plugins)
            entries.add(recipes, method)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unreadable(f"line {number} of the older format cannot be converted: {error}") from error
        rows.append(row)
    problems = problems_in(board.to_csv(rows), path.stem, entries) if rows else ["has no row"]
    if problems:
        raise Unreadable(f"{problems[0]} (after it was converted from the older format)")
    return rows, entries


def _converted(old: Line, plugins: Mapping[str, Plugin]) -> tuple[Line, list[object], dict[str, object]]:
    recipe, params, name = json.loads(old["features"]), json.loads(old["params"]), old["method"]
    if not isinstance(params, dict):
        raise TypeError("params are no JSON object")
    method: dict[str, object] = {"method": name, "params": params}
    row = {column: cell for column, cell in old.items() if column not in MARKS}
    if not is_count(old["n_bits"]):  # rows are put in order before they are checked
        raise ValueError(f"n_bits is {old['n_bits']!r:.60}")
    row |= {"method": label(name, params, plugins), "seeds": "", "features": key_of(recipe["features"])}
    row |= {"views": "" if recipe["views"] is None else key_of(recipe["views"]), "params": key_of(method)}
    return row, [value for value in (recipe["features"], recipe["views"]) if value is not None], method
