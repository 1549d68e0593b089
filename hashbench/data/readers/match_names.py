"""Names of files and columns in one form, so that two ways of writing a name are one name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from hashbench.errors import InputError
from hashbench.files.paths import is_there, relative

WORDS_OF_FOLDERS = 8
"""Maximum words in names of folders that a list may add to an item's name."""
FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
"""Unicode forms of an accented letter: one character, or a letter and its accent (as in macOS)."""


def normal(name: str) -> str:
    r"""Return a path in the form in which paths are compared.

    Slashes are forward and single, ``.`` is left out, accented letters are one character each, and spaces around the
    path are gone. An absolute path stays absolute.

    Examples
    --------
    >>> normal("images\\1.png"), normal("./images//1.png"), normal("cafe\u0301.png") == normal("caf\u00e9.png")
    ('images/1.png', 'images/1.png', True)
    """
    path = PurePosixPath(name.strip().replace("\\", "/")).as_posix()
    return unicodedata.normalize("NFC", f"/{path.lstrip('/')}" if path.startswith("/") else path)


def located(folder: Path, name: str, where: str) -> tuple[str, Path]:
    """Return the file that a list or a table names, below its folder.

    Parameters
    ----------
    folder : Path
    name : str
        A path below the folder, or an absolute path that leads there.
    where : str
        Name of the line that names it in messages.

    Returns
    -------
    name : str
        The path below the folder, as `normal` writes it.
    file : Path
        The file of that name, whichever Unicode form its name has on the disk.

    Raises
    ------
    InputError
        The path is empty, or leads outside the folder.
    """
    below = relative(_below(folder, name.strip()), where)
    return normal(below), _on_disk(folder, below)


def _below(folder: Path, name: str) -> str:
    """Return an absolute path below a folder as a relative one; any other as it is."""
    if not PureWindowsPath(name).root and not PureWindowsPath(name).drive:
        return name
    written = normal(name)
    for start in (folder.absolute(), folder.resolve()):
        beginning = normal(str(start)) + "/"
        if written.startswith(beginning):
            return written.removeprefix(beginning)
    return name


def _on_disk(folder: Path, below: str) -> Path:
    if below.isascii() or is_there(folder / below):
        return folder / below
    written = [folder / unicodedata.normalize(form, below) for form in FORMS]
    return next((file for file in written if is_there(file)), folder / below)


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Raise if a list names something twice, however it is written.

    Raises
    ------
    InputError
        A name is in the list twice.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(map(normal, names), 1):
        if first.setdefault(name, number) != number:
            raise InputError(f"{where}: number {number} is number {first[name]} again, {names[number - 1]!r}")


def text_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that hold something, with their numbers from 1.

    A mark of byte order, blanks around a line, and the line ends of Windows are no part of it.

    Raises
    ------
    OSError, UnicodeDecodeError
        The file cannot be read, or is not UTF-8.
    """
    for number, line in enumerate(file.read_text("utf-8-sig").split("\n"), 1):
        if line.strip():
            yield number, line.strip()


class RowsByName:
    """Finds items by the names in lines of a list.

    Parameters
    ----------
    names : sequence of str
        The data's names of its items.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = {normal(name): row for row, name in enumerate(names)}
        by_file = {name.rpartition("/")[2]: row for name, row in self._rows.items()}
        self._by_file: Mapping[str, int] = by_file if len(by_file) == len(self._rows) else {}
        self._most_words = max((len(name.split()) for name in self._rows), default=1)

    def find(self, line: str) -> int | None:
        """Return the row of the item whose name is the longest beginning of a line; None if there is none.

        A name may be written with another folder before it, or with a different folder where all
        items' files have different names.
        """
        written = normal(line)
        whole = (self._rows.get(name) for name in _beginnings(written, self._most_words))
        moved = (self._elsewhere(name) for name in _beginnings(written, self._most_words + WORDS_OF_FOLDERS))
        return next((row for rows in (whole, moved) for row in rows if row is not None), None)

    def _elsewhere(self, name: str) -> int | None:
        """Return the row of an item that the list has in another folder."""
        tail = name
        while tail := tail.partition("/")[2]:
            if tail in self._rows:
                return self._rows[tail]
        return self._by_file.get(name.rpartition("/")[2])


def _beginnings(line: str, most_words: int) -> Iterator[str]:
    """Yield the line, then the line without words at its end, the longest first."""
    yield line
    for n_words in range(min(len(line.split()) - 1, most_words), 0, -1):
        rest = line.split(maxsplit=n_words)[n_words]
        yield line[: len(line) - len(rest)].rstrip()


def column_of(columns: Iterable[str], words: Sequence[str], where: object, what: str) -> str | None:
    """Return the column with one of some names, in any case; None if there is none.

    Parameters
    ----------
    columns : iterable of str
    words : sequence of str
        Lower case; where a column has the first, others are not looked at.
    where, what : object
        Name of the file and the column in messages.

    Raises
    ------
    InputError
        Several columns have one of the names, so it is unclear which is meant.
    """
    found = {str(column): str(column).strip().casefold() for column in columns}
    named = [column for column, word in found.items() if word in words]
    first = [column for column in named if found[column] == words[0]]
    chosen = first or named
    if len(chosen) > 1:
        raise InputError(f"{where} has the columns {' and '.join(chosen)}: which is {what}? remove or rename the other")
    return chosen[0] if chosen else None
