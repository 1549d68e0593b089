"""Tables of images in CSV, JSON lines or parquet files: columns of cells, before they are interpreted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels
from hashbench.data.readers.match_names import column_of
from hashbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PARQUET = ".parquet"
JSON_LINES = (".jsonl", ".json")
"""Suffixes of files with one JSON object per line."""
SUFFIXES = (".csv", *JSON_LINES, PARQUET)
PATHS = ("path", "file_name", "filename", "file", "filepath", "file_path", "image", "image_path")
"""Names of a column of paths."""


@dataclass(frozen=True)
class Table:
    """A table of images.

    Attributes
    ----------
    file : Path
    cells : DataFrame
        Texts where the file is a CSV; else what the file has.
    """

    file: Path
    cells: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The columns' names."""
        return [str(name) for name in self.cells.columns]

    @property
    def paths(self) -> str | None:
        """The column of paths; None where no column has a usual name.

        Raises
        ------
        InputError
            Two columns could be meant.
        """
        return path_column(self.columns, self.file)

    def column(self, name: str) -> list[Any]:
        """Return the cells of a column."""
        return self.cells[name].tolist()

    def row_shown_as(self, row: int) -> str:
        """Return what a message calls a row, which is counted from 0."""
        return f"{self.file} row {row + 1}"

    def labels(self, name: str) -> LabelColumn:
        """Return a column of labels; of a parquet file as it has them, with the names of its classes."""
        if self.file.suffix.lower() != PARQUET:
            return LabelColumn(self.column(name), f"{self.file}: the column {name}", self.row_shown_as)
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.file) as parquet:
            return parquet_labels(parquet, name, self.file, self.row_shown_as)


def path_column(columns: list[str], file: Path) -> str | None:
    """Return the column that holds paths of images; None where no column has a usual name.

    Raises
    ------
    InputError
        Two columns could be meant.
    """
    return column_of(columns, PATHS, file, "that of the paths")


def read_table(file: Path) -> Table:
    """Read a table of images.

    Parameters
    ----------
    file : Path
        Its suffix is one of `SUFFIXES`.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, or has two columns of one name.
    """
    import pandas as pd

    if file.suffix.lower() in JSON_LINES:
        columns = _json_lines(file)
        return Table(file, pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()}))
    try:
        if file.suffix.lower() == PARQUET:
            return Table(file, pd.read_parquet(file))
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
    except Exception as error:  # both parsers raise many kinds of errors
        raise _unreadable(file, error) from error
    if len(set(header)) < len(header):
        raise InputError(f"{file} has two columns of one name: {', '.join(header)}")
    for number, row in enumerate(rows, 1):  # pandas would use the first cell of a longer row as the row's name
        if len(row) != len(header):
            raise InputError(f"{file} row {number} has {len(row)} cells, the header {len(header)}: quote its commas")
    return Table(file, pd.DataFrame(rows, columns=[name.strip() for name in header], dtype=object))


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(f"{file} cannot be read as a {file.suffix[1:]} file ({' '.join(str(error).split())})")


def _json_lines(file: Path) -> dict[str, list[Any]]:
    """Return the fields of JSON objects, one a line; pandas and pyarrow would take some texts for numbers or dates."""
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise _unreadable(file, error) from error
    rows = [_json_object(line, f"{file} line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _json_object(line: bytes, where: str) -> dict[str, Any]:
    """Return the fields of one object."""

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        name, n = Counter(name for name, _ in pairs).most_common(1)[0] if pairs else ("", 0)
        if n > 1:
            raise InputError(f"{where} has the field {name!r} {n} times: which one holds? remove the other")
        return dict(pairs)

    try:
        found = json.loads(line.decode(), object_pairs_hook=fields)
        if b"\\u" in line:
            json.dumps(found, ensure_ascii=False).encode()  # fails for half of a surrogate pair, which is not text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no JSON object ({_reason(error)}): write one object a line") from error
    if not isinstance(found, dict):
        raise InputError(f"{where} is no JSON object but a {type(found).__name__}: write one object a line")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):  # the error's text has a line number, which is always 1
        return f"{error.msg} at column {error.colno}"
    return "it is not UTF-8" if isinstance(error, UnicodeError) else " ".join(str(error).split())
