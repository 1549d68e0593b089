"""Files that a list names: where its names may lead, whether they are there, none named twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from hashbench.errors import InputError


def relative(name: str, place: str) -> str:
    r"""Return a name that a list gives in its shortest form, with forward slashes, if it stays below its start.

    Parameters
    ----------
    name : str
        With ``/`` or ``\`` between its parts.
    place : str
        Where the name stands, for the message.

    Raises
    ------
    InputError
        The name is absolute, leads upwards, or names nothing.
    """
    given = PureWindowsPath(name)  # understands both kinds of slashes, and drives
    if given.drive or given.root or ".." in given.parts or not given.parts or name[-1] in "/\\":
        raise InputError(f"{place}: {name!r:.200} is absolute, empty or has '..' in it; give the path of a file below")
    return PurePosixPath(*given.parts).as_posix()


def inside(folder: Path, name: str, place: str) -> Path:
    """Return the file that a list names, which must lie in the folder; see `relative`."""
    return folder / relative(name, place)


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


def is_there(file: Path) -> bool:
    """Return whether something of a listed name is there; a name that no file can have is not."""
    try:
        return file.exists()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False
