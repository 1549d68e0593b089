"""Paths below a folder: walking it, names that a list gives, names that can be a line of text."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from hashbench.errors import InputError

_PLUGIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_PROTOCOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/+:\[\]=,.-]{0,199}")


def walk(
    folder: str | os.PathLike[str],
    unreadable: Callable[[str, OSError], object],
    enter: Callable[[str, os.DirEntry[str]], bool] = lambda name, entry: True,
    above: frozenset[tuple[int, int]] = frozenset(),
    prefix: str = "",
    hidden: Callable[[str, Path], object] | None = None,
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is in a folder at any depth and is no folder; hidden names are passed over, links followed.

    Links that lead nowhere are yielded too.

    Parameters
    ----------
    folder : path-like
    unreadable : callable
        Called with folders that cannot be read, which are passed over unless it raises.
    enter : callable
        ``enter(name, entry)`` says whether a file or folder counts at all.
    above : frozenset of (int, int)
        Devices and inodes of the folders above, which no link leads back to.
    prefix : str
        What relative names begin with.
    hidden : callable, optional
        Gets the relative name and the path of each hidden file, and of each file in a hidden folder.

    Yields
    ------
    name : str
        Relative to the folder, with forward slashes.
    entry : os.DirEntry
    """
    try:
        status = Path(folder).stat()
        here = (status.st_dev, status.st_ino)
        with os.scandir(folder) as entries:
            inside = [] if here in above else list(entries)
    except OSError as error:
        unreadable(os.fspath(folder), error)
        return
    for entry in inside:
        name = prefix + entry.name
        if entry.name.startswith("."):
            if hidden is not None:
                for below, file in _hidden_files(entry):
                    hidden(prefix + below, file)
        elif not enter(name, entry):
            continue
        elif is_folder(entry):
            yield from walk(entry.path, unreadable, enter, above | {here}, f"{name}/", hidden)
        else:
            yield name, entry


def _hidden_files(entry: os.DirEntry[str]) -> Iterator[tuple[str, Path]]:
    """Yield a hidden file, or the files in a hidden folder; links are not followed, as they may lead anywhere."""
    if entry.is_symlink() or not is_folder(entry):
        yield entry.name, Path(entry.path)
        return
    for folder, _, files in os.walk(entry.path):  # what cannot be read is passed over
        for file in files:
            path = Path(folder, file)
            yield f"{entry.name}/{path.relative_to(entry.path).as_posix()}", path


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one; a link that leads nowhere, or to itself, is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def relative(name: str, where: str) -> str:
    r"""Return a name that a list gives in its shortest form, with forward slashes, if it stays below its start.

    Parameters
    ----------
    name : str
        With ``/`` or ``\`` between its parts.
    where : str
        What a message calls the line or the list that holds the name.

    Raises
    ------
    InputError
        The name is absolute, leads upwards, or names nothing.
    """
    given = PureWindowsPath(name)  # understands both kinds of slashes, and drives
    if given.drive or given.root or ".." in given.parts or not given.parts or name[-1] in "/\\":
        raise InputError(f"{where}: {name!r:.200} is absolute, empty or has '..' in it; give the path of a file below")
    return PurePosixPath(*given.parts).as_posix()


def is_there(file: Path) -> bool:
    """Return whether something of a listed name is there; a name that no file can have is not."""
    try:
        return file.exists()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


def is_line(text: str) -> bool:
    """Return whether a text is free of line breaks, other control characters and broken UTF-8."""
    return not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def is_plugin_name(text: object) -> bool:
    """Return whether a method or data set may have this name: 1 to 100 letters, digits, ``_`` and ``-``.

    The letters are ASCII's, and the first character is no ``-``. So a name is safe as a file's.
    """
    return isinstance(text, str) and _PLUGIN_NAME.fullmatch(text) is not None


def is_protocol_name(text: object) -> bool:
    """Return whether a protocol may have this name: 1 to 200 of a plugin's letters and of ``/ + : [ ] = , .``.

    No part between its slashes is empty, ``.`` or ``..``.
    """
    if not isinstance(text, str):
        return False
    parts = text.split("/")
    return _PROTOCOL_NAME.fullmatch(text) is not None and not {"", ".", ".."} & set(parts)


def is_name(value: object) -> bool:
    """Return whether a value is the name of a method or a data set, or of a file, and leads to no other folder.

    It has up to 100 printable characters, none of which has a meaning in a path or to a shell, does not
    begin with a dot, and does not begin or end with a space.
    """
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        return False
    return value.isprintable() and value.strip() == value and value[0] != "." and not set(value) & set('/\\:*?"<>|')


def printable(text: str, limit: int) -> str:
    r"""Return a text that somebody else wrote as one line that a terminal only shows.

    Characters that a terminal obeys or that cannot be seen are escaped as in Python: control characters, line
    breaks, marks that turn the direction of writing, halves of surrogate pairs.

    Parameters
    ----------
    text : str
    limit : int
        Characters of the result, at most; a longer one ends in an ellipsis.

    Examples
    --------
    >>> printable("a\x1b[31m\nb \u202ec", 100)
    'a\\x1b[31m\\nb \\u202ec'
    >>> printable("abcdef", 4)
    'abc…'
    """
    line = "".join(map(_visible, text[: limit + 1]))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(character: str) -> str:
    """Return a character, or its escape; spaces of any width stay."""
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
