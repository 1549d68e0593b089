"""Publishes records: each is checked, then they are merged into one CSV per data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory, write_atomically
from hashbench.plugins.registry import Plugin, Registry
from hashbench.progress import to_stderr
from hashbench.records.store import Store
from hashbench.reports.leaderboards import csv_files
from hashbench.reports.leaderboards.checks import problems_in, problems_of, read_rows
from hashbench.reports.leaderboards.columns import Line
from hashbench.reports.leaderboards.csv_files import Entries, Unreadable
from hashbench.reports.leaderboards.evidence import Evidence, of_present_code
from hashbench.reports.leaderboards.merge import merged
from hashbench.reports.leaderboards.rows_of_records import rows_of

LOCK = ".leaderboards.lock"


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
    """Merge records into ``<directory>/<dataset>.csv``, and what rows name by keys into the JSON files next to it.

    Every record's metrics are computed again from its codes. A row is a method, with the parameters that
    differ from its defaults, at one code length on one data set through one backbone; it replaces the older one,
    unless the old one has more seeds of the same code. Verdicts are given where all rows that are compared come
    from one call; publishing again what is published changes nothing. Whatever is wrong, no leaderboard is changed.

    Parameters
    ----------
    stores : sequence of Store
        Output directories of runs; their records are compared with each other.
    directory : Path
    plugins : iterable of path-like
        Files of methods that are not installed.
    log : callable
        Called with a line for records that are passed over, and for timings that are left out.
    shared_timings : bool
        Whether timings are published that were measured while other cells ran on the same machine.

    Raises
    ------
    InputError
        No record can be published, a record is not what its codes give, a leaderboard is not valid, or the directory
        cannot be written to.
    """
    known = Registry(plugins).plugins("methods")
    records = publishable(stores, known, log)
    if not shared_timings:
        records = _without_shared_timings(records, log)
    writable_directory(directory, "--to")
    datasets = sorted({one.record.config["dataset"] for one in records})
    lock = FileLock(directory / LOCK)
    with lock:  # a leaderboard that is not valid is reported before the hours that scoring may take
        for dataset in datasets:
            read_board(directory / f"{dataset}.csv")
    rows, entries = rows_of(records, known, "publish")
    with lock:
        return _write(directory, rows, entries)


def publishable(stores: Sequence[Store], known: Mapping[str, Plugin], log: Callable[[str], object]) -> list[Evidence]:
    """Return the records of the present code; say how many are passed over, and why.

    Raises
    ------
    InputError
        There is none.
    """
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
            f"timings left out, records: {n_shared}: measured while other cells ran; hashbench run --exclusive-timing "
            "measures them again, publish --shared-timings takes them"
        )
    return [
        replace(one, record=replace(one.record, timings={})) if one.record.timings_are_shared else one
        for one in records
    ]


def read_board(path: Path) -> tuple[list[Line], Entries]:
    """Return a leaderboard's rows and the entries they name.

    Raises
    ------
    InputError
        The leaderboard is not valid.
    """
    try:
        entries = csv_files.read_entries(path.parent)
        if not path.exists():
            return [], entries
        problems = problems_in(csv_files.read_bytes(path), path.stem, entries)
        if problems:
            raise Unreadable(problems[0])
        return read_rows(path), entries
    except Unreadable as error:
        raise InputError(f"{path} is not a valid leaderboard: {error}") from error


def _write(directory: Path, rows: Sequence[Line], entries: Entries) -> list[Published]:
    """Merge rows into the leaderboards."""
    contents, published = {}, []
    for dataset in sorted({row["dataset"] for row in rows}):
        path = directory / f"{dataset}.csv"
        old, named = read_board(path)
        new, notes = merged(old, [row for row in rows if row["dataset"] == dataset])
        entries = named.joined(entries)
        contents[path] = new
        published.append(Published(path, len(new), notes))
    write_boards(directory, contents, entries)
    return published


def write_boards(directory: Path, boards: Mapping[Path, Sequence[Line]], entries: Entries) -> None:
    """Write the JSON files with all that rows name, then the leaderboards: a break leaves what is valid.

    Raises
    ------
    InputError
        A leaderboard would not be valid, or the directory cannot be written to; no leaderboard is changed.
    """
    contents = {path: csv_files.to_csv(rows) for path, rows in boards.items()}
    for path, content in contents.items():
        problems = problems_in(content, path.stem, entries)
        if problems:
            raise InputError(f"{path} would not be valid and is left as it is: {problems[0]}")
    try:
        _write_entries(directory, entries)
        for path, content in contents.items():
            write_atomically(path, content)
        _drop_unused(directory, entries)
    except OSError as error:
        raise InputError(f"--to {directory} cannot be written to ({error.strerror or error}); make room") from error


def _write_entries(directory: Path, entries: Entries) -> None:
    for name, content in entries.files().items():
        write_atomically(directory / name, content)


def _drop_unused(directory: Path, entries: Entries) -> None:
    """Drop what no row names any more; nothing where a leaderboard cannot tell what it names."""
    boards = sorted(directory.glob("*.csv"))
    if not any(problems_of(path) for path in boards):
        _write_entries(directory, entries.only([row for path in boards for row in read_rows(path)]))
