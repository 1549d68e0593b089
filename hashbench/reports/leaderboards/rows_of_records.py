"""Makes rows of records: each record is scored again from its codes, methods of one board are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np

from hashbench.evaluation.statistics import Comparison
from hashbench.evaluation.variance import Sample
from hashbench.plugins.registry import Plugin
from hashbench.progress import progress
from hashbench.reports.leaderboards.columns import Line, columns, method_of, recipes_of
from hashbench.reports.leaderboards.csv_files import Entries
from hashbench.reports.leaderboards.evidence import Evidence, Verifier, label
from hashbench.results.metric_infos import info_of
from hashbench.results.rows import Row
from hashbench.results.setting import grouped
from hashbench.results.verdicts import boards, compare_methods


def rows_of(records: Sequence[Evidence], known: Mapping[str, Plugin], doing: str) -> tuple[list[Line], Entries]:
    """Return the rows of records, and what they name; methods of one board are compared with each other.

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
        A record's metrics are not what its codes give, or a value is not allowed in a row.
    """
    by_id, rows, entries = {one.record.id: one for one in records}, [], Entries()
    verifier = Verifier()
    with progress(doing, len(records)) as bar:
        apart = grouped((one.record for one in records), lambda record: record.origin).values()
        for board in chain.from_iterable(map(boards, apart)):
            seeds_of = {
                (n_bits, method): [by_id[record.id] for record in seeds]
                for n_bits, column in board.items()
                for method, seeds in column.items()
            }
            for key, compared in _compared(seeds_of, verifier, bar.advance).items():
                row = _row(seeds_of[key], compared, known)
                rows.append(_line(row, seeds_of[key][0]))
                entries.add(recipes_of(row), method_of(row))
    return rows, entries


def _compared(
    seeds_of: Mapping[tuple[int, str], Sequence[Evidence]], verifier: Verifier, advance: Callable[[int], object]
) -> dict[tuple[int, str], dict[str, Comparison]]:
    """Return by code length and method, and by metric, each method's verdict against the best."""
    samples: dict[int, dict[str, dict[str, Sample]]] = {}
    for (n_bits, method), seeds in seeds_of.items():
        each = []
        for one in seeds:
            each.append(verifier.per_query(one))
            advance(1)
        samples.setdefault(n_bits, {})[method] = _samples(each, seeds[0].record.config["seed"] is not None)
    metrics = {name for column in samples.values() for of in column.values() for name in of}
    return compare_methods(samples, {name for name in metrics if info_of(name).better == "lower"})


def _samples(each: Sequence[Mapping[str, np.ndarray]], seeded: bool) -> dict[str, Sample]:
    common = [name for name in each[0] if all(name in scores for scores in each)]
    return {name: Sample.of(np.stack([one[name] for one in each]) if seeded else each[0][name]) for name in common}


def line_of(evidence: Evidence, known: Mapping[str, Plugin]) -> Line:
    """Return the line of one record alone, without verdicts.

    Raises
    ------
    InputError
        What the record says is not allowed in a line.
    """
    return _line(_row([evidence], {}, known), evidence)


def _row(seeds: Sequence[Evidence], compared: Mapping[str, Comparison], known: Mapping[str, Plugin]) -> Row:
    config, is_imported = seeds[0].record.config, seeds[0].record.origin == "imported"
    name = config["method"] if is_imported else label(config["method"], config["params"], known)
    return Row.over_seeds(name, [one.record for one in seeds], compared)


def _line(row: Row, evidence: Evidence) -> Line:
    """Return a row as a line; what is not allowed in one is named with the record's name."""
    line: Line = {}
    for column in columns(row.newest.metrics):
        line[column.name] = column.text(row)
        if not column.fits(line[column.name]):
            shown = f"{column.name} would be {line[column.name]!r:.60}, expected {column.expected}"
            raise evidence.refused(shown)
    return line
