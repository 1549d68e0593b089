"""Finds a user's own labelled images: class folders, or a table of paths and labels."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hashbench.data.readers.class_folders import class_images, part_folders
from hashbench.data.readers.files_passed_over import said_of
from hashbench.data.readers.image_folder import hidden_files_in, subfolders
from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels
from hashbench.data.readers.labels.names import label_column, passed_over
from hashbench.data.readers.names import column_of, located
from hashbench.data.readers.parts import QUERY, Arrangement, part_column, part_of, rows_of_column
from hashbench.errors import InputError

TABLES = (".csv", ".parquet")
METADATA = ("metadata.csv", "metadata.parquet")
"""What a table is called that lies among the images it is about, as on the Hugging Face hub."""
PATH_COLUMN = "that of the paths"
PATHS = ("path", "file_name", "filename", "file", "filepath", "file_path", "image", "image_path")
"""What a column of paths may be called."""


@dataclass(frozen=True)
class Listing:
    """Labelled images, not yet read.

    Attributes
    ----------
    files : list of Path
    names : list of str
        Paths relative to the folder, or to the table's folder.
    labels : list of LabelColumn
        Of a table, or of the class folders of each part; in the images' order.
    parts : list of str
        ``query``, ``database`` or ``train`` for each image; empty where nothing names parts.
    shown_as : list of str
        What a message calls each image.
    read_as : str
        What the images were found by, in words.
    passed_over : list of str
        What is there and was not taken, in words.
    """

    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[LabelColumn] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    shown_as: list[str] = field(default_factory=list)
    read_as: str = ""
    passed_over: list[str] = field(default_factory=list)


def list_images(source: Path, label: str | None = None) -> Listing:
    """List a folder of class folders, with or without parts above them, or a table, also one that a folder holds.

    Parameters
    ----------
    source : Path
    label : str, optional
        The table's column of labels, where it has another than a usual name.

    Raises
    ------
    InputError
        It is none of these, or something in it cannot be used.
    """
    if source.is_dir():
        return _list_folder(source, label)
    if source.suffix.lower() in TABLES and source.is_file():
        return _list_table(source, label)
    raise InputError(f"--data-dir {source}: expected a folder of class folders, or a .csv or .parquet file")


def _list_folder(folder: Path, label: str | None) -> Listing:
    listing = _list_its_table(folder, label)
    if listing is not None:
        return listing
    parts = part_folders(folder)
    if parts is None or not parts.part_of:
        return _list_part(folder, label)
    listings = {
        name: _list_its_table(folder / name, label) or _list_part(folder / name, label) for name in parts.part_of
    }
    not_taken = [f"{name}/: {_query_name(parts)}/ gives the queries" for name in parts.left_out]
    used = {*parts.part_of, *parts.left_out}
    not_taken += [f"{name}/: no images" for name in subfolders(folder) if name not in used]
    beside = [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    not_taken += [f"{len(beside):,} files beside the parts, {min(beside)} the first"] if beside else []
    hidden = hidden_files_in(folder)
    not_taken += [said_of(hidden)] if hidden else []
    return _joined(listings, parts.part_of, not_taken)


def _list_its_table(folder: Path, label: str | None) -> Listing | None:
    """List what a folder's own table of paths and labels names; None where it has no such table."""
    for table in (folder / name for name in METADATA):
        if table.is_file():
            columns = [str(name) for name in _read_table(table).columns]
            if column_of(columns, PATHS, table, PATH_COLUMN) and label_column(columns, str(table), label):
                return _list_table(table, label)
    return None


def _query_name(parts: Arrangement) -> str:
    return next(name for name, part in parts.part_of.items() if part == QUERY)


def _list_part(folder: Path, label: str | None) -> Listing:
    if label is not None:
        raise InputError(f"--label-column {label}: {folder} is a folder, whose class folders are the labels")
    found = class_images(folder)
    files, names = list(found.files.values()), list(found.files)
    classes = LabelColumn(
        [name.partition("/")[0] for name in names], str(folder), lambda row: str(files[row]), are_names=True
    )
    not_taken = [said_of(found.passed_over)] if found.passed_over else []
    return Listing(files, names, [classes], [], [str(file) for file in files], "class folders", not_taken)


def _joined(listings: Mapping[str, Listing], part_of_folder: Mapping[str, str], not_taken: list[str]) -> Listing:
    """Return the listings of folders that are parts as one."""
    used = ", ".join(f"{name}/ ({part})" for name, part in part_of_folder.items())
    kinds = " and ".join(dict.fromkeys(one.read_as for one in listings.values()))
    joined = Listing(
        read_as=f"{kinds} in {used}",
        passed_over=not_taken,
    )
    for name, one in listings.items():
        joined.files.extend(one.files)
        joined.names.extend(f"{name}/{below}" for below in one.names)
        joined.labels.extend(one.labels)
        joined.shown_as.extend(one.shown_as)
        joined.parts.extend(part_of_folder[name] for _ in one.files)
        joined.passed_over.extend(f"{name}/: {line}" for line in one.passed_over)
    return joined


def _list_table(table: Path, label: str | None) -> Listing:
    frame = _read_table(table)
    columns = [str(name) for name in frame.columns]
    paths, part = column_of(columns, PATHS, table, PATH_COLUMN), part_column(columns, table)
    column = label_column([name for name in columns if name not in (paths, part)], str(table), label)
    missing = [what for what, name in (("path", paths), ("label", column)) if not name]
    if missing or column is None:
        has = ", ".join(columns) or "none"
        raise InputError(f"{table} has no column {' and none '.join(missing)}; its columns are {has}")
    if frame.empty:
        raise InputError(f"{table} has no rows")
    files = _files_of(frame[paths].tolist(), table)
    names = list(files)
    kept, parts, said, left_out = _parts_of_rows(frame, part, names, table)
    others = [name for name in columns if name not in (paths, part, column)]
    return Listing(
        [files[names[row]] for row in kept],
        [names[row] for row in kept],
        [_table_labels(table, frame, column).of(np.asarray(kept))],
        parts,
        [f"{table} row {row + 1}: {names[row]}" for row in kept],
        f"columns {paths} and {column}{said} of {table.name}",
        [*passed_over("columns", others), *left_out],
    )


def _files_of(paths: Sequence[Any], table: Path) -> dict[str, Path]:
    """Return the file that each row names, by its path below the table's folder."""
    files: dict[str, Path] = {}
    row_of: dict[str, int] = {}
    for row, path in enumerate(paths, 1):
        where = f"{table} row {row}"
        if not isinstance(path, str) or not path.strip():
            raise InputError(f"{where}: the path is empty")
        name, file = located(table.parent, path, where)
        if row_of.setdefault(name, row) != row:
            raise InputError(f"{where}: {name} is in row {row_of[name]} already; name each image once, with all labels")
        files[name] = file
    return files


def _parts_of_rows(
    frame: pd.DataFrame, column: str | None, names: Sequence[str], table: Path
) -> tuple[Sequence[int], list[str], str, list[str]]:
    """Return the rows that are taken, and the part of each: by a column, or by the folders that the paths begin with.

    Returns
    -------
    rows : sequence of int
    parts : list of str
        Empty where nothing names parts.
    said : str
        What named them, in words.
    passed_over : list of str
        Which rows are not taken, in words.
    """
    cells = [name.partition("/")[0] for name in names] if column is None else frame[column].tolist()
    if column is None and None in map(part_of, set(cells)):
        return range(len(names)), [], "", []
    kept, parts, left_out = rows_of_column(cells, str(table))
    said = "" if not parts else ", parts by the folders of the paths," if column is None else f", parts by {column},"
    return kept, parts, said, left_out


def _read_table(table: Path) -> pd.DataFrame:
    """Return a CSV's cells as text, or a parquet file's as they are."""
    try:
        if table.suffix.lower() == ".parquet":
            return pd.read_parquet(table)
        with table.open(encoding="utf-8-sig", newline="") as lines:
            header, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
    except Exception as error:  # both parsers fail in many ways
        reason = " ".join(str(error).split())
        raise InputError(f"{table} cannot be read as a {table.suffix[1:]} file ({reason})") from error
    if len(set(header)) < len(header):
        raise InputError(f"{table} has two columns of one name: {', '.join(header)}")
    for number, row in enumerate(rows, 1):  # pandas would take the first cell of a longer row for its name
        if len(row) != len(header):
            raise InputError(f"{table} row {number} has {len(row)} cells, the header {len(header)}: quote its commas")
    return pd.DataFrame(rows, columns=[name.strip() for name in header], dtype=object)


def _table_labels(table: Path, frame: pd.DataFrame, column: str) -> LabelColumn:
    """Return a table's labels; of a parquet file as it has them, with the names of its classes."""

    def row_shown_as(row: int) -> str:
        return f"{table} row {row + 1}"

    if table.suffix.lower() != ".parquet":
        return LabelColumn(frame[column].tolist(), f"{table}: the column {column}", row_shown_as)
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as parquet:
        return parquet_labels(parquet, column, table, row_shown_as)
