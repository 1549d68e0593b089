"""Publishes records: each is checked, then they are merged into one CSV per data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from hashbench.errors import InputError
from hashbench.evaluation.statistics import Comparison, compare
from hashbench.files.writing import writable_directory, write_atomically
from hashbench.plugins.registry import Plugin, Registry
from hashbench.progress import progress, to_stderr
from hashbench.reports.leaderboards import board, migrate
from hashbench.reports.leaderboards.board import Entries, Unreadable
from hashbench.reports.leaderboards.checks import problems_in, problems_of, read_rows
from hashbench.reports.leaderboards.columns import Cell, Row, columns
from hashbench.reports.leaderboards.evidence import Evidence, Verifier, label, of_present_code
from hashbench.reports.leaderboards.merge import merged
from hashbench.runs.records.store import Store
from hashbench.runs.records.verdicts import grouped

LOCK = ".leaderboards.lock"
Groups = Mapping[str, Sequence[Evidence]]


@dataclass(frozen=True)
class Published:
    """A leaderboard that was written.

    Attributes
    ----------
    path : Path
    n_rows : int
    notes : list of str
        What a reader of the output should know.
    """

    path: Path
    n_rows: int
    notes: list[str] = field(default_factory=list)


def publish(
    stores: Sequence[Store],
    directory: Path,
    plugins: Iterable[str | Path] = (),
    log: Callable[[str], object] = to_stderr,
    shared_timings: bool = False,
) -> list[Published]:
    """Merge records into ``<directory>/<dataset>.csv``, and what rows name by keys into the JSON files beside it.

    Every record's metrics are computed again from its codes. A row stands for a method, with the parameters that
    differ from its defaults, at one code length on one data set through one backbone; it replaces the older one,
    unless that one rests on more seeds of the same code. Verdicts are given where all rows that are compared come
    from one call; publishing again what is published changes nothing. Whatever is wrong, no leaderboard is changed.

    Parameters
    ----------
    stores : sequence of Store
        Output directories of runs; their records are compared with each other.
    directory : Path
    plugins : iterable of path-like
        Files of methods that are not installed.
    log : callable
        Told of records that are passed over, and of timings that are left out.
    shared_timings : bool
        Whether timings are published that were measured beside other cells on the same machine.

    Raises
    ------
    InputError
        No record can be published, one is not what its codes give, a leaderboard is not valid, or the directory
        cannot be written to.
    """
    known = Registry(plugins).plugins("methods")
    records = _publishable(stores, known, log)
    if not shared_timings:
        records = _without_shared_timings(records, log)
    writable_directory(directory, "--to")
    datasets = sorted({one.record.config["dataset"] for one in records})
    lock = FileLock(directory / LOCK)
    with lock:  # a leaderboard that is not valid is told before the hours that scoring may take
        for dataset in datasets:
            _read(directory / f"{dataset}.csv", known)
    rows, entries = _rows(records, known)
    with lock:
        return _write(directory, rows, entries, known)


def _publishable(stores: Sequence[Store], known: Mapping[str, Plugin], log: Callable[[str], object]) -> list[Evidence]:
    records, passed_over = of_present_code(stores, known)
    for reason, n_records in sorted(passed_over.items()):
        log(f"passed over, records: {n_records}: {reason}")
    if not records:
        reasons = "; ".join(sorted(passed_over)) or "no record ended ok"
        raise InputError(f"nothing to publish in {', '.join(str(store.directory) for store in stores)}: {reasons}")
    return records


def _without_shared_timings(records: Sequence[Evidence], log: Callable[[str], object]) -> list[Evidence]:
    n_shared = sum(one.record.timings_are_shared for one in records)
    if n_shared:
        log(
            f"timings left out, records: {n_shared}: measured beside other cells; hashbench run --exclusive-timing "
            "measures them again, publish --shared-timings takes them"
        )
    return [
        replace(one, record=replace(one.record, timings={})) if one.record.timings_are_shared else one
        for one in records
    ]


def _rows(records: Sequence[Evidence], known: Mapping[str, Plugin]) -> tuple[list[Row], Entries]:
    """Return the rows of records, and what they name; methods of one setting are compared with each other."""
    by_id, rows, entries = {one.record.id: one for one in records}, [], Entries()
    verifier = Verifier()
    with progress("publish", len(records)) as bar:
        for setting in grouped(one.record for one in records).values():
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


def _read(path: Path, known: Mapping[str, Plugin]) -> tuple[list[Row], bool, Entries]:
    """Return a leaderboard's rows, whether they were converted from the older format, and the entries they name."""
    try:
        entries = board.read_entries(path.parent)
        if not path.exists():
            return [], False, entries
        if migrate.is_older(path):
            rows, own = migrate.convert(path, known)
            return rows, True, entries.joined(own)
        problems = problems_of(path)
        if problems:
            raise Unreadable(problems[0])
        return read_rows(path), False, entries
    except Unreadable as error:
        raise InputError(f"{path} is not a valid leaderboard: {error}") from error


def _write(directory: Path, rows: Sequence[Row], entries: Entries, known: Mapping[str, Plugin]) -> list[Published]:
    """Write the JSON files with all that old and new rows name, then the rows: a break leaves what is valid."""
    contents, published = {}, []
    for dataset in sorted({row["dataset"] for row in rows}):
        path = directory / f"{dataset}.csv"
        old, is_older, named = _read(path, known)
        new, notes = merged(old, [row for row in rows if row["dataset"] == dataset])
        entries = named.joined(entries)
        contents[path] = board.to_csv(new)
        problems = problems_in(contents[path], dataset, entries)
        if problems:
            raise InputError(f"{path} would not be valid and is left as it is: {problems[0]}")
        if is_older:
            notes = [
                f"converted from the older format: {len(old)} rows; their intervals and verdicts are empty",
                *notes,
            ]
        published.append(Published(path, len(new), notes))
    try:
        _write_entries(directory, entries)
        for path, content in contents.items():
            write_atomically(path, content)
        _drop_unused(directory, entries)
    except OSError as error:
        raise InputError(f"--to {directory} cannot be written to ({error.strerror or error}); make room") from error
    return published


def _write_entries(directory: Path, entries: Entries) -> None:
    for name, content in entries.files().items():
        write_atomically(directory / name, content)


def _drop_unused(directory: Path, entries: Entries) -> None:
    """Drop what no row names any more; nothing where a leaderboard cannot tell what it names."""
    boards = [path for path in sorted(directory.glob("*.csv")) if not migrate.is_older(path)]
    if not any(problems_of(path) for path in boards):
        _write_entries(directory, entries.only([row for path in boards for row in read_rows(path)]))
