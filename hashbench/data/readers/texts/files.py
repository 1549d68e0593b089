"""Texts in one file: a table with a column of texts, or a text on each line with its labels before it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import label_column, listed, passed_over
from hashbench.data.readers.labels.tables import SUFFIXES, read_table
from hashbench.data.readers.match_names import column_of
from hashbench.data.readers.parts import part_column, rows_of_column
from hashbench.data.readers.texts.listing import TextListing, said_of_empty
from hashbench.data.readers.texts.texts import LONGEST, not_utf8, too_long, usable_rows
from hashbench.errors import InputError

COLUMNS = ("text", "texts", "content", "document", "sentence")
"""Names of a column of texts."""
LINES = ".txt"
MARK = "__label__"
"""What begins a label in a line, as in fastText's files."""
FILES = (*SUFFIXES, LINES)


def list_file(file: Path, column: str | None, label: str | None, skip_empty: bool) -> TextListing:
    """List the texts of a file.

    Parameters
    ----------
    file : Path
        Its suffix is one of `FILES`.
    column, label : str, optional
        Columns of a table that have unusual names.
    skip_empty : bool
        Whether empty texts are left out, instead of refused.

    Raises
    ------
    InputError
        The file cannot be read, or has no texts or no labels.
    """
    if file.suffix.lower() == LINES:
        for option, name in (("--text-column", column), ("--label-column", label)):
            if name is not None:
                raise InputError(f"{option} {name}: {file} has lines and no columns; leave it out")
        return _list_lines(file, skip_empty)
    return _list_table(file, column, label, skip_empty)


def _list_table(file: Path, chosen: str | None, label: str | None, skip_empty: bool) -> TextListing:
    with _long_cells():
        table = read_table(file)
    columns = table.columns
    if chosen is not None and chosen not in columns:
        raise InputError(f"--text-column {chosen}: {file} has no such column; its columns are {listed(columns)}")
    column = chosen or column_of(columns, COLUMNS, file, "that of the texts")
    if column is None:
        raise InputError(
            f"{file} has no column {COLUMNS[0]}; its columns are {listed(columns)}: name that of the texts with "
            "--text-column"
        )
    if table.cells.empty:
        raise InputError(f"{file} has no rows")
    others = [name for name in columns if name != column]
    part = part_column([name for name in others if name != label], file)
    labels = label_column([name for name in others if name != part], str(file), label)
    if labels is None:
        raise InputError(
            f"{file} has no column of labels, which say what is relevant to a text; its columns are {listed(columns)}: "
            "name one with --label-column"
        )
    texts: list[Any] = table.column(column)
    kept = usable_rows(texts, table.row_shown_as, skip_empty)
    said, empty = "", said_of_empty(len(texts), len(kept))
    parts: list[str] = []
    left_out: list[str] = []
    if part is not None:
        cells = table.column(part)
        rows, parts, left_out = rows_of_column(cells, str(file))
        part_of = dict(zip(rows, parts, strict=True)) if parts else {}
        kept = [row for row in kept if not parts or row in part_of]
        parts = [part_of[row] for row in kept] if parts else []
        said = f", parts by {part}," if parts else ""
    ignored = [name for name in columns if name not in (column, part, labels)]
    return TextListing(
        [texts[row] for row in kept],
        [table.labels(labels).of(np.asarray(kept))],
        parts,
        [],
        f"columns {column} and {labels}{said} of {file.name}",
        [*passed_over("columns", ignored), *left_out, *empty],
    )


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells of a CSV file be as long as a text, which may be longer than 128 KiB."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _list_lines(file: Path, skip_empty: bool) -> TextListing:
    """List the texts of a file with a text on each line; words that begin with `MARK` are its labels."""
    texts: list[str] = []
    labels: list[list[str]] = []
    numbers: list[int] = []
    for number, line in _lines(file):
        words = line.split(" ")
        own = [word.removeprefix(MARK) for word in words if word.startswith(MARK)]
        texts.append(" ".join(word for word in words if not word.startswith(MARK)))
        labels.append(own)
        numbers.append(number)

    def shown_as(row: int) -> str:
        return f"{file} line {numbers[row]}"

    if not texts:
        raise InputError(f"{file} has no lines")
    bare = [row for row, own in enumerate(labels) if not own]
    if bare:
        raise InputError(
            f"{shown_as(bare[0])} has no label, as {len(bare):,} of {len(texts):,} lines: begin each with "
            f"{MARK}NAME, or give a table with the columns text and label"
        )
    kept = usable_rows(texts, shown_as, skip_empty)
    cells = [labels[row] for row in kept]
    column = LabelColumn(cells, f"{file}: the labels", lambda row: shown_as(kept[row]))
    return TextListing(
        [texts[row] for row in kept],
        [column],
        read_as=f"lines of {file.name}",
        passed_over=said_of_empty(len(texts), len(kept)),
    )


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not blank, with their numbers from 1."""
    number = 0
    try:
        with file.open("rb") as stream:
            while line := stream.readline(LONGEST + 2):
                number += 1
                if len(line) > LONGEST and not line.endswith(b"\n"):
                    raise too_long(f"{file} line {number}")
                text = line.removeprefix(b"\xef\xbb\xbf").decode().strip()
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise not_utf8(f"{file} line {number}", error) from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error
