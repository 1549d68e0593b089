"""Images that a data set lists by name: where the list's names may lead, and which files are not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.errors import InputError


def inside(folder: Path, name: str, place: str) -> Path:
    r"""Return the file that a list names, which must lie in the folder.

    Parameters
    ----------
    folder : Path
    name : str
        Relative, with ``/`` or ``\`` between its parts.
    place : str
        Where the name stands, for the message.

    Raises
    ------
    InputError
        The name leads out of the folder, or names nothing in it.
    """
    parts = re.split(r"[/\\]", name)
    if ".." in parts or ":" in parts[0] or not parts[0] or parts[-1] in ("", "."):
        raise InputError(f"{place}: {name!r} is not the name of a file below {folder}")
    return folder.joinpath(*parts)


def refuse_repeated(names: Sequence[str], place: str) -> None:
    """Raise if a list names something twice.

    Raises
    ------
    InputError
        It does.
    """
    if len(set(names)) < len(names):
        first: dict[str, int] = {}
        for number, name in enumerate(names, 1):
            if first.setdefault(name, number) != number:
                raise InputError(f"{place}: number {number} is number {first[name]} again, {name!r}")


def present(files: Sequence[Path], what: str, skip_broken: bool) -> tuple[np.ndarray, list[str]]:
    """Tell which files are there.

    Parameters
    ----------
    files : sequence of Path
        The listed images that have a label.
    what : str
        What a message calls the data, with its folder.
    skip_broken : bool
        Leave missing files out, instead of refusing the data.

    Returns
    -------
    rows : ndarray of int64
        Places of the files that are there, ascending.
    left_out : list of str
        The others.

    Raises
    ------
    InputError
        A file is missing and none may be left out, or none is there, or none is listed.
    """
    if not files:
        raise InputError(f"{what}: no image has a label")
    there = np.fromiter((is_file(file) for file in files), bool, len(files))
    left_out = [str(file) for file, found in zip(files, there, strict=True) if not found]
    if left_out and not (skip_broken and there.any()):
        first = ", ".join(left_out[:3])
        way_out = "fetch them, or leave them out with --skip-broken" if there.any() else "give the folder that has them"
        raise InputError(
            f"{what}: {len(left_out):,} of {len(files):,} listed images are missing, first {first}; {way_out}"
        )
    return np.flatnonzero(there), left_out


def is_file(file: Path) -> bool:
    """Return whether a listed file is there; a name that no file can have is not."""
    try:
        return file.is_file()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False
