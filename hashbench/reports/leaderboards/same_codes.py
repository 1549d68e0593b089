"""Rows of a method whose code has changed, kept where the new code gives the same codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr
from hashbench.records.store import Store
from hashbench.reports.leaderboards.columns import Line, identity
from hashbench.reports.leaderboards.csv_files import Entries
from hashbench.reports.leaderboards.evidence import check_codes
from hashbench.reports.leaderboards.publish import LOCK, Published, publishable, read_board, write_boards
from hashbench.reports.leaderboards.rows_of_records import line_of
from hashbench.results.rows import NO_SEED

MADE_BY = ("params", "views")
"""What decides codes besides a row's identity, the seed and the method's code: a default may have changed."""


def keep_rows_of_same_codes(
    stores: Sequence[Store],
    directory: Path,
    plugins: Iterable[str | Path] = (),
    log: Callable[[str], object] = to_stderr,
) -> list[Published]:
    """Make rows whose method's code has changed valid again, where one seed gives the same codes, bit for bit.

    Such a row keeps its numbers, verdicts and timings, takes the checksum of the present code, and says in its column
    ``same_codes`` that one seed was compared. A row of other codes stays as it is and is named.

    Parameters
    ----------
    stores : sequence of Store
        Output directories of runs by the present code, which hold the first seed of each row in question.
    directory : Path
        Of the leaderboards.
    plugins : iterable of path-like
        Files of methods that are not installed.
    log : callable
        Called with a line for records that are passed over.

    Raises
    ------
    InputError
        No record can be compared with any row, a file of codes is not the one that its record names, a leaderboard is
        not valid, or the directory cannot be written to.
    """
    known = Registry(plugins).plugins("methods")
    computed: dict[tuple[str, ...], list[Line]] = {}
    for evidence in publishable(stores, known, log):
        check_codes(evidence, evidence.store.arrays(evidence.record.id))
        line = line_of(evidence, known)
        computed.setdefault(identity(line), []).append(line)
    writable_directory(directory, "--to")
    with FileLock(directory / LOCK):
        boards, entries, published = {}, Entries(), []
        for dataset in sorted({rows[0]["dataset"] for rows in computed.values()}):
            path = directory / f"{dataset}.csv"
            rows, named = read_board(path)
            boards[path], notes = _renewed(rows, computed)
            entries = entries.joined(named)
            published.append(Published(path, len(rows), notes))
        if not any(board.notes for board in published):
            raise InputError(
                f"nothing to compare: no row of {directory} is of older code and has its first seed in the runs"
            )
        write_boards(directory, boards, entries)
    return published


def _renewed(rows: Sequence[Line], computed: Mapping[tuple[str, ...], Sequence[Line]]) -> tuple[list[Line], list[str]]:
    """Return a leaderboard's rows, those of the same codes with the present source, and what was found of each."""
    result, notes = [], []
    for row in rows:
        again = next((one for one in computed.get(identity(row), ()) if _is_first_seed_of(one, row)), None)
        if again is not None and again["source"] != row["source"]:
            row, note = _compared(row, again)
            notes.append(f"{row['method']} at {row['n_bits']} bits: {note}")
        result.append(row)
    return result, notes


def _is_first_seed_of(one: Line, row: Line) -> bool:
    first = (row["seeds"].split() or [NO_SEED])[0]
    return one["seeds"] == first and all(one[name] == row[name] for name in MADE_BY)


def _compared(row: Line, again: Line) -> tuple[Line, str]:
    if not row["codes"]:
        return row, "its row does not tell its codes; publish the run to replace it"
    if row["codes"] != again["codes"]:
        return row, "other codes; its row is left as it is, publish the run to replace it"
    return {**row, "source": again["source"], "same_codes": "1"}, "the same codes; its row is kept"
