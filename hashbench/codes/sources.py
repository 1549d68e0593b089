"""Where codes and labels are: arrays in memory, arrays of files that the user names, or what names and shapes say."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.codes.damaged import readable
from hashbench.codes.files import FORMATS, MATLAB, TEXTS, open_arrays
from hashbench.codes.names import CODES, DATABASE, LABELS, QUERY, Role, role_of, strongest
from hashbench.codes.tensors import as_array
from hashbench.data.readers.arrays.stored_array import StoredArray, sliced
from hashbench.data.readers.labels.find_labels import listed
from hashbench.errors import InputError

Source = Any
"""A path, ``FILE:NAME``, an array, a tensor, or a DataFrame or a column of one."""


@dataclass(frozen=True)
class Found:
    """An array, and where it is.

    Attributes
    ----------
    stored : StoredArray
    file : Path or None
        None where the array was given in Python.
    name : str
        The array's name in the file.
    """

    stored: StoredArray
    file: Path | None = None
    name: str = ""

    @property
    def shown_as(self) -> str:
        """What a line calls the array: the file's name, and the array's in it."""
        if self.file is None:
            return self.stored.shown_as
        return f"{self.file.name}:{self.name}" if self.name else self.file.name

    @property
    def place(self) -> str:
        """The array as the user can name it."""
        return f"{self.file}:{self.name}" if self.name else str(self.file)

    @property
    def is_matlab(self) -> bool:
        """Whether items may be columns, as in much of MATLAB's code."""
        return self.file is not None and self.file.suffix.lower() == MATLAB

    @property
    def role(self) -> Role:
        """What the names say that the array is."""
        return role_of(self.name, self.file.stem if self.file else "")

    def read(self) -> np.ndarray:
        """Return the array, memory-mapped where that is possible."""
        if self.stored.mapped is not None:
            return self.stored.mapped
        with readable(self.stored.shown_as):
            return self.stored.read()


def is_path(source: Source) -> bool:
    """Return whether a source is a path, or ``FILE:NAME``, and not an array."""
    return isinstance(source, str | os.PathLike)


def argument(option: str) -> str:
    """Return what an option is called in Python."""
    return option.removeprefix("--").replace("-", "_")


def divided(source: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the file and the array's name of ``FILE:NAME``; the name is empty where there is none."""
    text = os.fspath(source)
    file, colon, name = text.rpartition(":")
    if colon and file and not Path(text).exists() and Path(file).is_file():
        return Path(file), name
    return Path(text), ""


def find(source: Source, option: str, part: str | None, kind: str) -> Found:
    """Return the array that a source names.

    Parameters
    ----------
    source : path-like, ndarray, tensor or DataFrame
    option : str
        What a message calls the source, such as ``--query-codes``.
    part : str or None
        ``query`` or ``database``.
    kind : str
        ``codes`` or ``labels``.

    Raises
    ------
    InputError
        There is no such file or array, or several arrays could be meant.
    """
    if not is_path(source):
        shown_as = argument(option)
        return Found(sliced(shown_as, in_memory(source, shown_as)))
    file, name = divided(source)
    arrays = open_arrays(file)
    if name:
        if name not in arrays:
            raise InputError(f"{option} {source}: {file} has no array {name}, it has {listed(list(arrays))}")
        return Found(arrays[name], file, name)
    found = [Found(stored, file, inner) for inner, stored in arrays.items()]
    fits = [one for one in found if _fits(one, part, kind)]
    chosen = found if len(found) == 1 else fits
    if len(chosen) != 1:
        raise InputError(
            f"{option} {file} holds the arrays {listed(list(arrays))}: name one, such as {file}:{next(iter(arrays))}"
        )
    return chosen[0]


def _fits(found: Found, part: str | None, kind: str) -> bool:
    role = role_of(found.name)
    return role.kind == kind and role.part in (part, None)


def in_memory(source: Source, option: str) -> np.ndarray:
    """Return an array, a tensor, a DataFrame or a list as a numpy array.

    Raises
    ------
    InputError
        It is none, or holds Python objects.
    """
    if hasattr(source, "detach"):
        return as_array(source, option)
    if hasattr(source, "to_numpy"):
        source = source.to_numpy()
    try:
        array = np.asarray(source)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{option} is no array of numbers ({error})") from error
    if array.dtype.kind not in "biufU":
        raise InputError(f"{option} is an array of {array.dtype}, expected numbers")
    return array


def search(places: Sequence[Path], there: Collection[tuple[str, str]] = ()) -> dict[tuple[str, str], Found]:
    """Return codes and labels of both parts that files and folders hold, by what their names say.

    Parameters
    ----------
    places : sequence of Path
        Of a folder, the files are opened whose names say what they are; where there are none, its only file.
    there : collection of (part, kind)
        What need not be found.

    Returns
    -------
    dict from (part, kind) to Found

    Raises
    ------
    InputError
        A file cannot be read, or two arrays could be the same thing.
    """
    found = [
        Found(stored, file, name)
        for place in places
        for file in (_files_of(place) if place.is_dir() else [place])
        for name, stored in (_label_text(file) or open_arrays(file)).items()
    ]
    by_role: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        part, kind, _ = one.role
        if part and (kind or len(one.stored.shape) == 2):
            by_role.setdefault((part, kind or CODES), []).append(one)
    chosen = {key: _only(candidates, key) for key, candidates in _strong(by_role).items() if key not in there}
    missing = [part for part in (QUERY, DATABASE) if (part, CODES) not in {*chosen, *there}]
    if missing:
        raise InputError(
            f"{', '.join(map(str, places))}: no array is by its name the {missing[0]} codes; there are "
            f"{listed([one.shown_as for one in found])}: name them with --query-codes FILE:NAME and "
            "--database-codes FILE:NAME"
        )
    return chosen


def _label_text(file: Path) -> Mapping[str, StoredArray]:
    """Return a text whose name says labels as an array that is not read: its lines may be names, or paths and marks."""
    if file.suffix.lower() in TEXTS and role_of(file.stem).kind == LABELS and file.is_file():
        return {"": StoredArray(str(file), (0,), np.dtype(float), lambda: iter(()))}
    return {}


def _strong(by_role: Mapping[tuple[str, str], list[Found]]) -> dict[tuple[str, str], list[Found]]:
    """Return the arrays of each role, without those that a second word names where a first word names others."""
    strong: dict[tuple[str, str], list[Found]] = {}
    for key, candidates in by_role.items():
        candidates = [one for one in candidates if one.role.kind] or candidates
        kept = strongest([one.role for one in candidates])
        strong[key] = [one for one, keep in zip(candidates, kept, strict=True) if keep]
    return strong


def _only(candidates: list[Found], key: tuple[str, str]) -> Found:
    if len(candidates) > 1:
        part, kind = key
        raise InputError(
            f"{listed([one.shown_as for one in candidates])} can each be the {part} {kind}: name one with "
            f"--{part}-{kind} FILE:NAME"
        )
    return candidates[0]


def _files_of(folder: Path) -> list[Path]:
    """Return the files of a folder whose names say what they are, or at least of which part; or its only file."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMATS and file.name[0] != ".")
    roles = {file: role_of(file.stem) for file in files}
    said = [file for file, role in roles.items() if role.part and role.kind] or [
        file for file, role in roles.items() if role.part
    ]
    if len(files) == 1 or said:
        return said or files
    raise InputError(
        f"{folder} holds no files whose names say that they are codes, such as query_codes.npy: it has "
        f"{listed([file.name for file in files])}; name the files"
    )
