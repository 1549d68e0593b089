"""Arrays in files of any kind that embeddings are kept in, by the file's suffix, read block by block."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.containers import open_hdf5, open_npz, open_safetensors
from hashbench.data.readers.arrays.parquet import open_parquet
from hashbench.data.readers.arrays.stored_array import Contents, sliced
from hashbench.data.readers.arrays.text_files import open_table, open_words
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy

CROPPED = re.compile(r"\.crop_nb_\d+$")
"""What big-ann-benchmarks adds to the name of a file of which it has fetched the beginning."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    suffixes : tuple of str
        What the names of such files end in.
    open : callable
        Takes the path and the column of labels that was chosen, if any, and returns what the file holds; rows are read
        when they are asked for.
    is_text : bool
        Whether files of other content often end so, too: in a folder, such a file is taken only if nothing else is.
    """

    suffixes: tuple[str, ...]
    open: Callable[[Path, str | None], Contents]
    is_text: bool = False


def _open_npy(path: Path, label: str | None) -> Contents:
    return Contents(".npy", {"vectors": sliced(str(path), open_npy(path))}, {})


def _without_columns(open_arrays: Callable[[Path], Contents]) -> Callable[[Path, str | None], Contents]:
    return lambda path, label: open_arrays(path)


def _open_rows(suffix: str, path: Path, label: str | None) -> Contents:
    return Contents(suffix, {"vectors": row_files.open_rows(path, suffix)}, {})


FORMATS = (
    Format((".npy",), _open_npy),
    Format((".npz",), _without_columns(open_npz)),
    Format((".parquet",), open_parquet),
    Format((".hdf5", ".h5"), _without_columns(open_hdf5)),
    Format((".safetensors",), _without_columns(open_safetensors)),
    *(Format((suffix,), partial(_open_rows, suffix)) for suffix in row_files.SUFFIXES),
    Format((".csv", ".tsv"), open_table, is_text=True),
    Format((".txt", ".vec"), _without_columns(open_words), is_text=True),
)
"""Every kind of file that vectors are read from."""
SUFFIXES = tuple(suffix for one in FORMATS for suffix in one.suffixes)


def suffix_of(path: Path) -> str:
    """Return what says which format a file has: its suffix, in small letters."""
    return Path(CROPPED.sub("", path.name)).suffix.lower()


def format_of(path: Path) -> Format | None:
    """Return a file's format, by its suffix; None where it has none of them."""
    return next((one for one in FORMATS if suffix_of(path) in one.suffixes), None)


def open_file(path: Path, label: str | None = None) -> Contents:
    """Return what a file holds, by its suffix; rows are read when they are asked for.

    The one array of a ``.npy``, ``.fvecs`` or ``.fbin`` file, or of one of text, has the name ``vectors``. So has the
    column ``vector`` or ``embedding`` of a parquet file, or its only column of lists of floats; where it, or a table of
    text, has a column ``part``, each of the parts that this names is an array. Others have their names in the file.

    Parameters
    ----------
    path : Path
    label : str, optional
        The column of labels, where it has another than a usual name; ``none`` where none is to be read.

    Raises
    ------
    InputError
        The file is damaged or of an unknown kind, or a package that it needs is not installed.
    """
    known = format_of(path)
    if known is None:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
    return known.open(path, label)
