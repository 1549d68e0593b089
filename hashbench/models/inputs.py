"""Input to be encoded: arrays of vectors or images, image files, folders and tables of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashbench.data.look import Look, requested_look
from hashbench.data.readers.arrays.array_formats import SUFFIXES, open_file, suffix_of
from hashbench.data.readers.arrays.parquet import vector_columns
from hashbench.data.readers.arrays.stored_array import Contents, StoredArray
from hashbench.data.readers.arrays.text_files import is_number_or_list
from hashbench.data.readers.files_passed_over import said_of
from hashbench.data.readers.image_folder import find_images, image_suffixes, is_image, line_name
from hashbench.data.readers.image_parquet import holds_images, schema_of, unlabelled_images
from hashbench.data.readers.labelled_images import list_paths
from hashbench.data.readers.labels.find_labels import NONE
from hashbench.data.readers.labels.tables import JSON_LINES, PATHS, path_column
from hashbench.errors import InputError
from hashbench.progress import to_stderr


@dataclass(frozen=True)
class InputOptions:
    """How what a user hands over is read; the fields are those of `hashbench.LoadOptions` with the same names."""

    exif: bool = False
    background: str | None = None
    grey_range: str | None = None
    skip_broken: bool = False
    image_column: str | None = None

    @property
    def look(self) -> Look:
        """How image files become pixels.

        Raises
        ------
        InputError
            The background is not a colour, or the grey range is not a range.
        """
        return requested_look(self.exif, self.background, self.grey_range)

    def refuse_for_arrays(self, path: Path) -> None:
        """Refuse what is said of how image files look where there are none.

        Raises
        ------
        InputError
            An option about image files is set.
        """
        for name in ("exif", "background", "grey_range"):
            if getattr(self, name):
                option = f"--{name.replace('_', '-')}"
                raise InputError(f"{option}: {path} is an array, {option} is about image files; leave it out")


@dataclass(frozen=True)
class Input:
    """An array, or image files.

    Attributes
    ----------
    path : Path
        As the user gave it.
    array : StoredArray or None
        None where the input is image files.
    files : sequence of Path or bytes
        Files, or their content.
    shown_as : list of str
        What a message calls each.
    names : list of str
        One per file, relative to the folder or the table's folder; none for an array.
    """

    path: Path
    array: StoredArray | None = None
    files: Sequence[Path | bytes] = field(default_factory=list)
    shown_as: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def open_input(path: Path, takes_images: bool = True, image_column: str | None = None) -> Input:
    """Open an array, an image file, a folder that is searched for image files, or a table or column of images.

    A folder's images are those that `hashbench.data.readers.image_folder.find_images` finds, sorted by their path
    relative to it. A table (CSV, JSON lines or parquet) names its images as for the data set ``folder``, one a row;
    neither labels nor parts are looked at. A CSV or parquet file that has vectors, too, names images only where the
    column is called ``path``. Of a file with several arrays, such as ``FILE.hdf5``, one is named as ``FILE.hdf5:NAME``;
    what an array's name is, says `hashbench.data.readers.arrays.array_formats.open_file`.

    Parameters
    ----------
    path : Path
    takes_images : bool
        Whether a parquet file's images are meant rather than its vectors, where it has both.
    image_column : str, optional
        The column of a parquet file that holds the images.

    Raises
    ------
    InputError
        The path does not exist, is of an unknown kind, or is empty; or the named array is missing, or none is named.
    """
    if path.is_dir():
        found = find_images(path)
        if found.passed_over:
            to_stderr(f"{path}: {len(found.files):,} images; passed over: {said_of(found.passed_over)}")
        files = list(found.files.values())
        return Input(path, files=files, shown_as=[str(file) for file in files], names=list(found.files))
    file, name = _named(path)
    suffix = suffix_of(file)
    if name is None and takes_images and suffix == ".parquet":
        schema = schema_of(file)
        if image_column is not None or any(holds_images(one.type) for one in schema):
            table = unlabelled_images(file, image_column)
            names = [f"{line_name(file.name, file)}: row {row}" for row in range(len(table.sources))]
            return Input(path, files=table.sources, shown_as=table.shown_as, names=names)
        if _parquet_names_images(schema, file):
            return _listed(path)
    if name is None and (suffix in JSON_LINES or (suffix == ".csv" and _csv_names_images(file))):
        return _listed(path)
    if suffix in SUFFIXES:
        return Input(path, _chosen(open_file(file, NONE), name, file))
    if name is None and is_image(file):
        return Input(path, files=[path], shown_as=[str(path)], names=[line_name(path.name, path)])
    raise InputError(
        f"{path}: expected a folder of images, an image ({', '.join(image_suffixes())}), a table of images (.csv, "
        f".jsonl or .parquet with a column {PATHS[0]} or {PATHS[1]}) or an array ({', '.join(SUFFIXES)})"
    )


def _listed(table: Path) -> Input:
    listing = list_paths(table)
    return Input(table, files=listing.sources, shown_as=listing.shown_as, names=listing.names)


def _csv_names_images(file: Path) -> bool:
    """Return whether a CSV's rows name images; not where its first line is none of text."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            header, first = ([cell.strip() for cell in next(rows, [])] for _ in range(2))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    texts = [name for name, cell in zip(header, first, strict=False) if not is_number_or_list(cell)]
    return _names_images(header, texts, any(cell.startswith("[") for cell in first), file)


def _parquet_names_images(schema: Any, file: Path) -> bool:
    """Return whether a parquet file's rows name images."""
    import pyarrow as pa

    texts = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]
    return _names_images(schema.names, texts, bool(vector_columns(schema)), file)


def _names_images(columns: list[str], texts: list[str], has_vectors: bool, file: Path) -> bool:
    return PATHS[0] in columns or (not has_vectors and path_column(texts, file) is not None)


def _named(path: Path) -> tuple[Path, str | None]:
    """Return a file, and the name of the array in it where ``path`` ends in one."""
    if path.is_file():
        return path, None
    file, colon, name = str(path).rpartition(":")
    if colon and Path(file).is_file():
        return Path(file), name
    raise InputError(f"{path}: no such file or folder")


def _chosen(contents: Contents, name: str | None, file: Path) -> StoredArray:
    """Return the array of a name, or the only one that has rows of several values."""
    wide = [key for key, stored in contents.arrays.items() if len(stored.shape) > 1]
    names = [name] if name is not None else wide if len(contents.arrays) > 1 else list(contents.arrays)
    if len(names) != 1 or names[0] not in contents.arrays:
        held = ", ".join(sorted(contents.arrays)) or "no array"
        not_found = "" if name is None else f", not {name}"
        example = f": name one, as in {file}:{min(wide)}" if wide else ""
        raise InputError(f"{file} holds {held}{not_found}{example}")
    return contents.arrays[names[0]]
