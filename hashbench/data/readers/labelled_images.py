"""Finds a user's own labelled images: class folders, or a table of paths and labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hashbench.data.readers.image_folder import IMAGE_SUFFIXES, list_folder, refuse_lost
from hashbench.data.readers.labels.cells import LabelColumn, parquet_labels
from hashbench.data.readers.labels.names import label_column, passed_over
from hashbench.errors import InputError
from hashbench.files.paths import relative

TABLES = (".csv", ".parquet")
PART_OF = {"query": "query", "test": "query", "train": "train", "database": "database"}
"""What users call the parts."""
ARRANGEMENTS = ({"train", "query"}, {"query", "database"}, {"query", "database", "train"})
"""Which parts go together."""
HELD_OUT = ("validation", "valid", "val", "dev")
"""What users call images that are for choosing parameters."""
RESERVED = {*PART_OF, *HELD_OUT}
"""Folders of these names are parts, not classes, where there are two or more of them."""


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
    notes : list of str
        What holds a table's labels.
    passed_over : list of str
        What was not read.
    """

    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[LabelColumn] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    shown_as: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def list_images(source: Path, label: str | None = None) -> Listing:
    """List a folder of class folders, with or without parts above them, or a table.

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
        if label is not None:
            raise InputError(f"--label-column {label}: {source} is a folder, whose class folders are the labels")
        return _list_folder(source)
    if source.suffix.lower() in TABLES and source.is_file():
        return _list_table(source, label)
    raise InputError(f"--data-dir {source}: expected a folder of class folders, or a .csv or .parquet file")


def _list_folder(folder: Path) -> Listing:
    below = _subfolders(folder)
    named = RESERVED.intersection(below)
    if len(named) < 2:
        files, names = _class_folders(folder)
        return Listing(files, names, [_folder_labels(folder, files, names)], shown_as=[str(file) for file in files])
    parts = {PART_OF.get(name, "") for name in below}
    if len(parts) < len(below) or parts not in ARRANGEMENTS:
        raise InputError(
            f"{folder} has the folders {', '.join(below)}; parts are train and test, or query and database and "
            "perhaps train, with nothing beside them"
        )
    listing = Listing()
    for part in below:
        files, names = _class_folders(folder / part)
        listing.files.extend(files)
        listing.names.extend(f"{part}/{name}" for name in names)
        listing.labels.append(_folder_labels(folder / part, files, names))
        listing.shown_as.extend(str(file) for file in files)
        listing.parts.extend(PART_OF[part] for _ in names)
    return listing


def _folder_labels(folder: Path, files: list[Path], names: list[str]) -> LabelColumn:
    """Return the names of class folders as labels; each is one class, whatever is in it."""
    classes = [name.partition("/")[0] for name in names]
    return LabelColumn(classes, str(folder), lambda row: str(files[row]), are_names=True)


def _subfolders(folder: Path) -> list[str]:
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(
        path.name
        for path in visible
        if path.is_dir() or (path.suffix.lower() not in IMAGE_SUFFIXES and refuse_lost(path))
    )


def _class_folders(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the images below a folder and their relative paths, which all begin with a class folder."""
    images = list_folder(folder)
    loose = [name for name in images if "/" not in name]
    if loose:
        raise InputError(f"{folder}: {loose[0]} and {len(loose) - 1} more images lie in no class folder; move them")
    without = set(_subfolders(folder)) - {name.partition("/")[0] for name in images}
    if without:
        raise InputError(f"{folder}/{min(without)} holds no images; fill or remove it")
    return list(images.values()), list(images)


def _list_table(table: Path, label: str | None) -> Listing:
    frame = _read_table(table)
    column = label_column([str(name) for name in frame.columns if name not in ("path", "part")], str(table), label)
    missing = [name for name, known in (("path", "path" in frame.columns), ("label", column is not None)) if not known]
    if missing or column is None:
        has = ", ".join(map(str, frame.columns)) or "none"
        raise InputError(f"{table} has no column {' and none '.join(missing)}; its columns are {has}")
    if frame.empty:
        raise InputError(f"{table} has no rows")
    others = [name for name in frame.columns if name not in ("path", "part", column)]
    listing = Listing(
        labels=[_table_labels(table, frame, column)],
        notes=[f"labels are the column {column}"],
        passed_over=passed_over("columns", others),
    )
    rows: dict[str, int] = {}
    given = frame["part"] if "part" in frame.columns else [None] * len(frame)
    for row, (path, part) in enumerate(zip(frame["path"], given, strict=True), 1):
        where = f"{table} row {row}"
        if not isinstance(path, str) or not path.strip():
            raise InputError(f"{where}: the path is empty")
        name = relative(path, where)
        if rows.setdefault(name, row) != row:
            raise InputError(f"{where}: {name} is in row {rows[name]} already; name each image once, with all labels")
        listing.files.append(table.parent / name)
        listing.names.append(name)
        listing.shown_as.append(f"{where}: {name}")
        if "part" in frame.columns:
            listing.parts.append(_part(part, where))
    return listing


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


def _part(cell: Any, where: str) -> str:
    name = cell.strip().lower() if isinstance(cell, str) else ""
    if name not in PART_OF:
        raise InputError(f"{where}: the part {cell!r} is none of {', '.join(PART_OF)}")
    return PART_OF[name]
