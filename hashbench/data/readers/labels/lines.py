"""Lists with an item and its marks on each line: ``path 0 1 0 …``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from hashbench.errors import InputError

_FILE = re.compile(r".*[/\\]|.*\.[A-Za-z][A-Za-z0-9]*\Z")
"""A word that is part of a path: it has a slash, or a suffix of files."""


def marked_lines(lines: Mapping[int, str], file: Path, widths: Collection[int]) -> tuple[list[str], np.ndarray]:
    """Return the paths and the marks of a list; a path may have spaces, and no mark is ever taken for a part of it.

    Parameters
    ----------
    lines : mapping from int to str
        The lines by their numbers.
    file : Path
        For messages.
    widths : collection of int
        How many labels a list may have; all lines have the first one's number.

    Returns
    -------
    paths : list of str
    marks : ndarray of shape (n, n_labels), bool

    Raises
    ------
    InputError
        A line has more or fewer marks than the others, or a mark that is neither 0 nor 1.
    """
    paths: list[str] = []
    marks: list[list[str]] = []
    first = next(iter(lines))
    for number, line in lines.items():
        path, given = _divided(line)
        if not marks and len(given) not in widths:
            expected = " or ".join(map(str, sorted(widths)))
            raise InputError(f"{file} line {number} has {len(given)} labels after a path, expected {expected}")
        if marks and len(given) != len(marks[0]):
            expected = f"{len(marks[0])} as line {first} has"
            raise InputError(f"{file} line {number} has {len(given)} labels after a path, expected {expected}")
        paths.append(path)
        marks.append(given)
    return paths, marked(np.array(marks), file, list(lines))


def marked(values: np.ndarray, file: Path, numbers: Sequence[int]) -> np.ndarray:
    """Return texts 0 and 1 as bool.

    Parameters
    ----------
    values : ndarray of str, of shape (n,) or (n, n_labels)
    file : Path
        For messages.
    numbers : sequence of int
        The lines' numbers.

    Raises
    ------
    InputError
        A text is neither 0 nor 1.
    """
    wrong = np.argwhere((values != "0") & (values != "1"))
    if len(wrong):
        shown = f"{values[tuple(wrong[0])]!s:.40}"
        raise InputError(f"{file} line {numbers[wrong[0][0]]}: {shown} is no label, expected 0 or 1")
    return values == "1"


def _divided(line: str) -> tuple[str, list[str]]:
    """Return a line's path, with the spaces that are in it, and the words after it."""
    words = list(re.finditer(r"\S+", line))
    last = max((at for at, word in enumerate(words) if _FILE.match(word.group())), default=0)
    return line[words[0].start() : words[last].end()], [word.group() for word in words[last + 1 :]]
