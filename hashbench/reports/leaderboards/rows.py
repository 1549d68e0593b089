"""Makes rows of records: each record is scored again from its codes, methods of one setting are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hashbench.evaluation.statistics import Comparison, compare
from hashbench.plugins.registry import Plugin
from hashbench.progress import progress
from hashbench.reports.leaderboards.board import Entries
from hashbench.reports.leaderboards.columns import Cell, Row, columns
from hashbench.reports.leaderboards.evidence import Evidence, Verifier, label
from hashbench.runs.records.verdicts import by_column

Groups = Mapping[str, Sequence[Evidence]]


def rows_of(records: Sequence[Evidence], known: Mapping[str, Plugin], doing: str) -> tuple[list[Row], Entries]:
    """Return the rows of records, and what they name; methods of one setting are compared with each other.

    Parameters
    ----------
    records : sequence of Evidence
    known : mapping from str to Plugin
        The methods that are here: their defaults shorten the column ``method``.
    doing : str
        What a progress bar calls it.

    Raises
    ------
    InputError
        A record's metrics are not those of its codes, or what it says cannot stand in a row.
    """
    by_id, rows, entries = {one.record.id: one for one in records}, [], Entries()
    verifier = Verifier()
    with progress(doing, len(records)) as bar:
        for setting in by_column(one.record for one in records).values():
            groups = {group: [by_id[record.id] for record in seeds] for group, seeds in setting.items()}
            for group, compared in _compared(groups, verifier, bar.advance).items():
                cell = _cell(groups[group], compared, known)
                rows.append(_row(cell, groups[group][0]))
                entries.add(cell.recipes(), cell.method())
    return rows, entries


def _compared(groups: Groups, verifier: Verifier, advance: Callable[[int], object]) -> dict[str, dict[str, Comparison]]:
    """Return by group and metric what becomes of methods beside the best of them."""
    values: dict[str, dict[str, np.ndarray]] = {}
    for group, seeds in groups.items():
        each = []
        for one in seeds:
            each.append(verifier.per_query(one))
            advance(1)
        names = [name for name in each[0] if all(name in scores for scores in each)]
        seeded = seeds[0].record.config["seed"] is not None
        values[group] = {name: np.stack([one[name] for one in each]) if seeded else each[0][name] for name in names}
    common = set.intersection(*(set(scores) for scores in values.values()))
    result: dict[str, dict[str, Comparison]] = {group: {} for group in groups}
    for name in sorted(common):
        beside_best = compare({group: scores[name] for group, scores in values.items()})
        for group in groups:
            result[group][name] = beside_best[group]
    return result


def _cell(seeds: Sequence[Evidence], compared: Mapping[str, Comparison], known: Mapping[str, Plugin]) -> Cell:
    config = seeds[0].record.config
    return Cell([one.record for one in seeds], label(config["method"], config["params"], known), compared)


def _row(cell: Cell, evidence: Evidence) -> Row:
    """Return a row; what cannot stand in one is told with the record's name."""
    row: Row = {}
    for column in columns(cell.newest.metrics):
        row[column.name] = column.text(cell)
        if not column.fits(row[column.name]):
            shown = f"{column.name} would be {row[column.name]!r:.60}, expected {column.expected}"
            raise evidence.refused(shown)
    return row
