"""Published lists as their authors lay them out: the files of each part, their paths and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.data.readers.match_names import text_lines
from hashbench.data.readers.parts import VALIDATION, part_of
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy

INSIDE = "test"
"""The folder in which HashNet's lists for Caffe have queries and database."""
_STEM = re.compile(r"(?P<word>[a-z]+?)(_?(img|image|images|list))?\d*")
"""What a list may be called: the word for its part, and a number where a part has several lists."""


@dataclass(frozen=True)
class PartList:
    """What the lists of a part say.

    Attributes
    ----------
    files : list of str
        Their names.
    places : list of (int, int)
        Of each item, which of the files, and the number of its line from 1.
    paths : list of str
        As they are written; row numbers where the list is of these.
    labels : ndarray of shape (n,), int64, or (n, n_labels), bool, or None
        Class numbers, marks, or None where lines hold paths alone.
    """

    files: list[str]
    places: list[tuple[int, int]]
    paths: list[str]
    labels: np.ndarray | None = None

    def shown(self, at: int) -> str:
        """Return where an item is listed, with its path."""
        file, number = self.places[at]
        return f"{self.files[file]} line {number}, {self.paths[at]:.100}"


def find_lists(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the lists of each part in a folder, and the names of texts that are none.

    DeepHash, DeepHash-pytorch, HashNet and NUS-WIDE's lists have ``test.txt``, ``train.txt`` and ``database.txt``;
    HashNet's for Caffe ``test/test0.txt``, ``test/database0.txt`` and so on; hashbench's ``query.txt``. Where a folder
    has no texts, arrays of row numbers are taken, such as ``query.npy``.

    Raises
    ------
    InputError
        There is no such folder, it has no list of queries, or a part's lists have two names.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, list[Path]] = {}
    others: list[str] = []
    for suffix in (".txt", ".npy"):
        for file in sorted((*folder.glob(f"*{suffix}"), *(folder / INSIDE).glob(f"*{suffix}")), key=_in_order):
            part = _part_of(file)
            if part is not None:
                found.setdefault(part, []).append(file)
            elif suffix == ".txt":
                others.append(file.name)
        if found:
            break
    for part, files in found.items():
        stems = sorted({(file.parent.name, file.stem.rstrip("0123456789")) for file in files})
        whole = [file for file in files if not file.stem[-1].isdigit()]
        if len(stems) > 1 or (whole and len(files) > 1):
            raise InputError(
                f"{folder}: {files[0].name} and {files[-1].name} may both be the {part} list: keep one of them there, "
                f"or name it with --{part}"
            )
    return found, others


def read_part(files: Sequence[Path]) -> PartList:
    """Return what the lists of a part say, one after the other.

    Raises
    ------
    InputError
        A list cannot be read or is empty, its lines differ in the number of labels, or a label is no number.
    """
    if files[0].suffix == ".npy":
        return _row_numbers(files[0])
    places: list[tuple[int, int]] = []
    paths: list[str] = []
    marks: list[int] = []
    known: dict[str, int] = {}
    width = None
    for number_of_file, file in enumerate(files):
        for number, line in _lines(file):
            width = _n_labels(line) if width is None else width
            path, *labels = line.rsplit(maxsplit=width) if width else [line]
            if _n_labels(line) != width:
                raise InputError(f"{file} line {number} has {_n_labels(line)} labels, the first line {width}")
            places.append((number_of_file, number))
            paths.append(path)
            marks.append(known.setdefault(" ".join(labels), len(known)))
    if not paths:
        raise InputError(f"{files[0]} is empty")
    values = _values(known, width or 0, files[0])
    return PartList([file.name for file in files], places, paths, None if values is None else values[np.array(marks)])


def _part_of(file: Path) -> str | None:
    stem = _STEM.fullmatch(file.stem.lower())
    part = part_of(stem["word"]) if stem else None
    return None if part == VALIDATION else part


def _in_order(file: Path) -> tuple[str, int, str]:
    digits = re.search(r"\d*\Z", file.stem)
    return str(file.parent), int((digits[0] if digits else "") or 0), file.name


def _lines(file: Path) -> list[tuple[int, str]]:
    try:
        return list(text_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({type(error).__name__})") from error


def _n_labels(line: str) -> int:
    """Return how many whole numbers end a line, its path left out."""
    words = line.split()
    last = max((at for at, word in enumerate(words) if not word.removeprefix("-").isdecimal()), default=0)
    return len(words) - 1 - last


def _values(known: dict[str, int], width: int, file: Path) -> np.ndarray | None:
    """Return what different texts of labels mean: a class number, or marks."""
    if width == 0:
        return None
    rows = [text.split() for text in known]
    values = np.array([[int(word) if len(word) < 10 else -(2**40) for word in row] for row in rows], np.int64)
    if width == 1:
        return values[:, 0]
    wrong = ~np.isin(values, (-1, 0, 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(f"{file}: {rows[row][column]:.20} is no mark of a label: expected 0 or 1")
    return values == 1


def _row_numbers(file: Path) -> PartList:
    rows = open_npy(file)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InputError(f"{file} holds {rows.dtype} of shape {rows.shape}, expected row numbers")
    return PartList([file.name], [(0, at) for at in range(1, len(rows) + 1)], list(map(str, rows.tolist())))
