"""Finds labelled images of the user: class folders, or a table of paths and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.data.images import ImageFiles
from hashbench.data.items import Items
from hashbench.data.look import Look
from hashbench.data.readers.class_folders import class_images, part_folders
from hashbench.data.readers.files_passed_over import said_of
from hashbench.data.readers.image_folder import beside_table, hidden_files_in, line_name, subfolders
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import label_column, passed_over
from hashbench.data.readers.labels.reading import read_labels
from hashbench.data.readers.labels.tables import SUFFIXES, Table, read_table
from hashbench.data.readers.match_names import located
from hashbench.data.readers.parts import DATABASE, QUERY, TRAIN, Arrangement, part_column, part_of, rows_of_column
from hashbench.errors import InputError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""The name of a table that is in the folder of its images, as on the Hugging Face hub."""


@dataclass(frozen=True)
class Listing:
    """Labelled images, not yet read.

    Attributes
    ----------
    sources : sequence of Path or bytes
        Files, or their content.
    shown_as : list of str
        Name of each image in messages.
    labels : list of LabelColumn
        The columns of one or several files, in the images' order.
    parts : list of str
        ``query``, ``database`` or ``train`` for each image; empty if there are no named parts.
    names : list of str
        Paths relative to the folder, or to the table's folder; empty for images without names.
    read_as : str
        Description of how the images were found.
    passed_over : list of str
        Description of what was skipped.
    """

    sources: Sequence[Path | bytes]
    shown_as: list[str] = field(default_factory=list)
    labels: list[LabelColumn] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    read_as: str = ""
    passed_over: list[str] = field(default_factory=list)

    def items(self, look: Look) -> Items:
        """Read the labels; images are decoded later, with the given conversions.

        Raises
        ------
        InputError
            A label is missing or cannot be used.
        """
        labels, parts = read_labels(self.labels), np.array(self.parts)
        return Items(
            images=ImageFiles(self.sources, self.shown_as, look=look),
            labels=labels.array,
            label_names=labels.names,
            parts={part: np.flatnonzero(parts == part) for part in (QUERY, DATABASE, TRAIN) if self.parts},
            names=self.names or None,
            provenance="the user's own",
            notes=labels.notes,
            read_as=self.read_as,
            passed_over=self.passed_over,
        )


def list_images(source: Path, label: str | None = None) -> Listing:
    """List a folder of class folders, with or without parts above them, or a table, also one that a folder holds.

    Parameters
    ----------
    source : Path
    label : str, optional
        The table's column of labels, if it has an unusual name.

    Raises
    ------
    InputError
        ``source`` is neither a folder of classes nor a table, or something in it cannot be used.
    """
    if source.is_dir():
        return _list_folder(source, label)
    if source.suffix.lower() in SUFFIXES and source.is_file():
        return _list_table(read_table(source), label)
    raise InputError(f"--data-dir {source}: expected a folder of class folders, or a .csv, .jsonl or .parquet file")


def list_paths(table: Path) -> Listing:
    """List the images that a table names, one a row; neither labels nor parts are looked at.

    Parameters
    ----------
    table : Path

    Raises
    ------
    InputError
        The table cannot be read, is empty or has no column of paths, or a path cannot be used.
    """
    read = read_table(table)
    if read.paths is None:
        raise InputError(_lacks(read, ["path"]))
    found = list(_located(read, read.paths))
    names = [name for name, _ in found]
    return Listing([file for _, file in found], _shown_as(read, range(len(names)), names), names=names)


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
    not_taken += _said(hidden_files_in(folder))
    return _joined(listings, parts.part_of, not_taken)


def _said(kinds: Counter[str]) -> list[str]:
    return [said_of(kinds)] if kinds else []


def _list_its_table(folder: Path, label: str | None) -> Listing | None:
    """List the images that a folder's table of paths and labels names; None if it has no such table."""
    tables = [read_table(folder / name) for name in METADATA if (folder / name).is_file()]
    usable = [table for table in tables if table.paths and label_column(table.columns, str(table.file), label)]
    if len(usable) > 1:
        names = " and ".join(table.file.name for table in usable)
        raise InputError(f"{folder} has {names}, which both name images and their labels: remove or rename one")
    return _list_table(usable[0], label, is_folders_own=True) if usable else None


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
    shown_as = [str(file) for file in files]
    return Listing(files, shown_as, [classes], [], names, "class folders", _said(found.passed_over))


def _joined(listings: Mapping[str, Listing], part_of_folder: Mapping[str, str], not_taken: list[str]) -> Listing:
    """Return the listings of folders that are parts as one."""
    used = ", ".join(f"{name}/ ({part})" for name, part in part_of_folder.items())
    kinds = " and ".join(dict.fromkeys(one.read_as for one in listings.values()))
    sources: list[Path | bytes] = []
    joined = Listing(sources, read_as=f"{kinds} in {used}", passed_over=not_taken)
    for name, one in listings.items():
        sources.extend(one.sources)
        joined.shown_as.extend(one.shown_as)
        joined.labels.extend(one.labels)
        joined.parts.extend(part_of_folder[name] for _ in one.sources)
        joined.names.extend(f"{name}/{below}" for below in one.names)
        joined.passed_over.extend(f"{name}/: {line}" for line in one.passed_over)
    return joined


def _list_table(table: Table, label: str | None, is_folders_own: bool = False) -> Listing:
    columns, paths = table.columns, table.paths
    part = part_column(columns, table.file)
    column = label_column([name for name in columns if name not in (paths, part)], str(table.file), label)
    if paths is None or column is None:
        raise InputError(_lacks(table, [what for what, name in (("path", paths), ("label", column)) if not name]))
    files = _files_of(table, paths)
    names = list(files)
    kept, parts, said, left_out = _parts_of_rows(table, part, names)
    others = [name for name in columns if name not in (paths, part, column)]
    beside = _said(beside_table(table.file, files)) if is_folders_own else []
    return Listing(
        [files[names[row]] for row in kept],
        _shown_as(table, kept, names),
        [table.labels(column).of(np.asarray(kept))],
        parts,
        [names[row] for row in kept],
        f"columns {paths} and {column}{said} of {table.file.name}",
        [*passed_over("columns", others), *left_out, *beside],
    )


def _lacks(table: Table, missing: Sequence[str]) -> str:
    has = ", ".join(table.columns) or "none"
    return f"{table.file} has no column {' and none '.join(missing)}; its columns are {has}"


def _shown_as(table: Table, rows: Sequence[int], names: Sequence[str]) -> list[str]:
    return [f"{table.row_shown_as(row)}: {names[row]}" for row in rows]


def _located(table: Table, column: str) -> Iterator[tuple[str, Path]]:
    """Yield the path below the table's folder that each row names, and the file."""
    if table.cells.empty:
        raise InputError(f"{table.file} has no rows")
    for row, path in enumerate(table.column(column)):
        where = table.row_shown_as(row)
        if not isinstance(path, str) or not path.strip():
            raise InputError(f"{where}: the path is empty")
        name, file = located(table.file.parent, path, where)
        yield line_name(name, where), file


def _files_of(table: Table, column: str) -> dict[str, Path]:
    """Return the file that each row names, by its path below the table's folder."""
    files: dict[str, Path] = {}
    row_of: dict[str, int] = {}
    for row, (name, file) in enumerate(_located(table, column), 1):
        if row_of.setdefault(name, row) != row:
            where = f"{table.file} row {row}"
            raise InputError(f"{where}: {name} is in row {row_of[name]} already; name each image once, with all labels")
        files[name] = file
    return files


def _parts_of_rows(
    table: Table, column: str | None, names: Sequence[str]
) -> tuple[Sequence[int], list[str], str, list[str]]:
    """Return the rows that are taken, and the part of each: by a column, or by the folders that the paths begin with.

    Returns
    -------
    rows : sequence of int
    parts : list of str
        Empty where nothing names parts.
    said : str
        Description of what named the parts.
    passed_over : list of str
        Description of the rows that are skipped.
    """
    cells = [name.partition("/")[0] for name in names] if column is None else table.column(column)
    if column is None and None in map(part_of, set(cells)):
        return range(len(names)), [], "", []
    kept, parts, left_out = rows_of_column(cells, str(table.file))
    said = "" if not parts else ", parts by the folders of the paths," if column is None else f", parts by {column},"
    return kept, parts, said, left_out
