"""Labels in text: one a line, ``path 0 0 1`` as DeepHash and HashNet write lists, or a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import label_column
from hashbench.data.readers.labels.lines import marked_lines
from hashbench.data.readers.match_names import text_lines
from hashbench.errors import InputError

MOST_LABELS = 100_000
DELIMITERS = ",;\t"


def read_label_list(file: Path, column: str = "") -> LabelColumn:
    """Return the labels of a text.

    Parameters
    ----------
    file : Path
        Each line holds a path and marks 0 or 1 or a class, or just one of these; or cells with commas, semicolons or
        tabs between them, under names of columns or not.
    column : str
        The column of a table with names.

    Raises
    ------
    InputError
        The text is no list of labels.
    """
    try:
        lines = dict(text_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a readable text ({error})") from error
    if not lines:
        raise InputError(f"{file} is empty")
    delimiter = max(DELIMITERS, key=next(iter(lines.values())).count)
    if delimiter in next(iter(lines.values())) or column:
        return _of_table(lines, delimiter, file, column)
    if file.suffix.lower() != ".txt" and _is_name(next(iter(lines.values()))) and len(lines) > 1:
        return _of_table(lines, delimiter, file, column)
    return _of_lines(lines, file)


def _of_lines(lines: dict[int, str], file: Path) -> LabelColumn:
    """Return the labels of lines with spaces between words."""
    words = [line.split() for line in lines.values()]
    n_marks = sum(word.isdecimal() for word in words[0][1:])
    numbers = list(lines)

    def row_shown_as(row: int) -> str:
        return f"{file} line {numbers[row]}"

    if _is_number(words[0][0]):
        return LabelColumn(_numbers(words, numbers, file), str(file), row_shown_as)
    if n_marks == 0:
        return LabelColumn(list(lines.values()), str(file), row_shown_as)
    if n_marks > 1:
        _, marks = marked_lines(lines, file, range(1, MOST_LABELS))
        return LabelColumn(marks, str(file), row_shown_as)
    return LabelColumn([line.rsplit(maxsplit=1)[-1] for line in lines.values()], str(file), row_shown_as)


def _numbers(words: Sequence[Sequence[str]], numbers: Sequence[int], file: Path) -> np.ndarray:
    """Return lines of numbers as a matrix, or the one number of each line."""
    width = len(words[0])
    for number, line in zip(numbers, words, strict=True):
        if len(line) != width or not all(map(_is_number, line)):
            raise InputError(f"{file} line {number} is not {width} numbers, as line {numbers[0]} is")
    values = np.array(words, np.float64)
    return values[:, 0] if width == 1 else values


def _of_table(lines: dict[int, str], delimiter: str, file: Path, column: str) -> LabelColumn:
    """Return the labels of cells: a column by its name, the only column, or all columns as marks."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines.values(), delimiter=delimiter)]
    if len(rows) != len(lines):
        raise InputError(f"{file} has cells of several lines: write one item a line")
    numbers = list(lines)
    names = [] if all(map(_is_number, rows[0])) and not column else rows[0]
    rows, numbers = rows[bool(names) :], numbers[bool(names) :]
    if not rows:
        raise InputError(f"{file} has names of columns and no rows")

    def row_shown_as(row: int) -> str:
        return f"{file} line {numbers[row]}"

    chosen = column or (names[0] if len(names) == 1 else label_column(names, str(file)) if names else None)
    if chosen is not None:
        if chosen not in names:
            raise InputError(f"{file} has the columns {', '.join(names)}, and no column {chosen}")
        place = names.index(chosen)
        short = next((number for number, row in zip(numbers, rows, strict=True) if len(row) <= place), None)
        if short is not None:
            raise InputError(f"{file} line {short} has no column {chosen}")
        return LabelColumn([row[place] for row in rows], f"{file}: the column {chosen}", row_shown_as)
    return LabelColumn(_numbers(rows, numbers, file), str(file), row_shown_as)


def _is_name(text: str) -> bool:
    return text.strip().lower() in ("label", "labels", "class", "target", "category")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
