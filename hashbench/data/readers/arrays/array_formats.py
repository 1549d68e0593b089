"""The file formats that vectors are read from, as one table. docs/add-a-vector-format.md says how to add one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.containers import open_hdf5, open_npz, open_safetensors
from hashbench.data.readers.arrays.parquet import open_parquet
from hashbench.data.readers.arrays.stored_array import Contents, sliced
from hashbench.data.readers.arrays.text_files import open_table, open_words
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy

CROPPED = re.compile(r"\.crop_nb_\d+$")
"""Suffix that big-ann-benchmarks adds to the name of a file of which it downloaded only the beginning."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    suffixes : tuple of str
        What the names of such files end in, in lower case.
    open : callable
        Takes the path and returns `Contents`. Rows are read lazily.
    has_columns : bool
        Whether the file is a table. Then ``open`` also takes the column of labels that the user chose, or None.
    named_by : {"stem", "word"}, optional
        What names the part that a file holds in a folder of several files: its whole stem, as in ``query.npy``, or its
        last or first word, as in ``sift_query.fvecs``. None if such a file must be the only one in its folder.
    is_text : bool
        Whether files of other content often have these suffixes, too. In a folder, such a file is taken only if
        there is no other.
    """

    suffixes: tuple[str, ...]
    open: Callable[..., Contents]
    has_columns: bool = False
    named_by: Literal["stem", "word"] | None = None
    is_text: bool = False


def _open_npy(path: Path) -> Contents:
    return Contents(".npy", {"vectors": sliced(str(path), open_npy(path))}, {})


def _open_rows(suffix: str, path: Path) -> Contents:
    return Contents(suffix, {"vectors": row_files.open_rows(path, suffix)}, {})


FORMATS = (
    Format((".npy",), _open_npy, named_by="stem"),
    Format((".npz",), open_npz),
    Format((".parquet",), open_parquet, has_columns=True, named_by="stem"),
    Format((".hdf5", ".h5"), open_hdf5),
    Format((".safetensors",), open_safetensors),
    *(Format((suffix,), partial(_open_rows, suffix), named_by="word") for suffix in row_files.SUFFIXES),
    Format((".csv", ".tsv"), open_table, has_columns=True, is_text=True),
    Format((".txt", ".vec"), open_words, is_text=True),
)
SUFFIXES = tuple(suffix for one in FORMATS for suffix in one.suffixes)
SUFFIXES_OF_PARTS = tuple(suffix for one in FORMATS if one.named_by for suffix in one.suffixes)
"""Those of files that may be parts of a folder."""


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Return a file's name in two pieces. The suffix says which format it has, and is in lower case."""
    name = CROPPED.sub("", path.name)
    known = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    suffix = max(known, key=len, default=Path(name).suffix.lower())
    return name[: len(name) - len(suffix)], suffix


def suffix_of(path: Path) -> str:
    """Return the suffix that determines a file's format, in lower case."""
    return stem_and_suffix(path)[1]


def format_of(path: Path) -> Format | None:
    """Return a file's format, by its suffix; None if it is unknown."""
    return next((one for one in FORMATS if suffix_of(path) in one.suffixes), None)


def open_file(path: Path, label: str | None = None) -> Contents:
    """Open a file by its suffix; rows are read lazily.

    The single array of a ``.npy``, ``.fvecs``, ``.fbin`` or text file has the name ``vectors``, as has the column
    ``vector`` or ``embedding`` of a parquet file, or its only column of lists of floats. If a parquet file or a text
    table has a column ``part``, each part is an array. Other arrays have the names that the file gives.

    Parameters
    ----------
    path : Path
    label : str, optional
        The column of labels, if it has an unusual name; ``none`` to read no labels.

    Raises
    ------
    InputError
        The file is damaged or of an unknown kind, or a package that it needs is not installed.
    """
    known = format_of(path)
    if known is None:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
    return known.open(path, label) if known.has_columns else known.open(path)
