"""Cells of labels as texts; each different cell of a column is examined once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hashbench.data.readers.labels.cells import EXPECTED, LabelColumn, refuse_shape
from hashbench.data.readers.labels.texts import MISSING, Unreadable, normal, several, struct
from hashbench.errors import InputError

NUMBER = re.compile(r"[+-]?\d+(?:\.0*)?")
"""Texts that are integers."""
DECIMAL = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?\.?")
"""Texts that are numbers."""
SHOWN = 60
"""Characters of a cell that a message repeats."""
MARKS = ({"0", "1"}, {"False", "True"})


@dataclass(frozen=True)
class Given:
    """The content of a column: its different cells, and the cell of each item.

    Attributes
    ----------
    column : LabelColumn
    which : ndarray of shape (n,), int64
        Each item's cell.
    cells : list of tuple of str
        The labels of each different cell; empty where they are `marks`.
    rows : list of int
        The first row of each cell.
    are_lists : bool
        Whether all cells are lists.
    single : frozenset of str
        Labels that are a whole cell, and may not be the name of a class.
    texts : frozenset of str
        Cells, or names of classes, as they are.
    marks : ndarray of shape (n, n_labels), bool, optional
        Whether each item has each label, if the file has it in this form.
    """

    column: LabelColumn
    which: np.ndarray
    cells: list[tuple[str, ...]]
    rows: list[int]
    are_lists: bool
    single: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    marks: np.ndarray | None = None

    @cached_property
    def width(self) -> int:
        """Number of labels of every cell; 0 if cells differ, or are not lists."""
        if self.marks is not None:
            return self.marks.shape[1]
        lengths = {len(cell) for cell in self.cells}
        return lengths.pop() if self.are_lists and len(lengths) == 1 else 0

    @cached_property
    def labels(self) -> dict[str, int]:
        """All labels of the column, with the first row of each."""
        first: dict[str, int] = {}
        for cell, row in zip(self.cells, self.rows, strict=True):
            for label in cell:
                first[label] = min(row, first.get(label, row))
        return first

    def where(self, label: str) -> str:
        """Return what a message calls the first row that has a label."""
        return self.column.row_shown_as(self.labels[label])


def given_labels(column: LabelColumn) -> Given:
    """Return the content of a column.

    Raises
    ------
    InputError
        A cell is empty, or holds anything but whole numbers, texts or lists of them.
    """
    if isinstance(column.cells, np.ndarray):
        refuse_shape(column.cells.dtype, column.cells.shape, column.shown_as)
        if column.cells.ndim == 2 and column.cells.shape[1] > 1 and column.cells.dtype.kind in "iufb":
            return Given(column, np.arange(len(column.cells)), [], [], True, marks=_marks(column))
    which, different, rows = _different(column.cells)
    cells, lists, single = [], [], set()
    for cell, row in zip(different, rows, strict=True):
        try:
            labels, is_list = _labels_of(cell, column)
        except Unreadable as error:
            raise InputError(f"{column.row_shown_as(row)}: a label {error}") from error
        cells.append(labels)
        lists.append(is_list)
        single |= set() if is_list else set(labels)
    texts = frozenset(cell for cell in different if isinstance(cell, str))
    given = Given(column, which, cells, rows, all(lists), frozenset(() if column.are_names else single), texts)
    if _are_marks(given):
        marked = np.array([[label in ("1", "True") for label in cell] for cell in cells])
        return Given(column, which, [], [], True, marks=marked[which])
    _refuse_counts(given)
    return _named(given) if column.class_names else given


def _marks(column: LabelColumn) -> np.ndarray:
    """Return a matrix of 0 and 1, as bool."""
    cells, named = np.asarray(column.cells), column.class_names
    odd = ~((cells == 0) | (cells == 1)).all(axis=1)
    if odd.any():
        raise InputError(
            f"{column.row_shown_as(int(np.argmax(odd)))} holds values other than 0 and 1; a matrix says of each label "
            "whether an item has it"
        )
    if named and len(named) != cells.shape[1]:
        raise InputError(f"{column.shown_as} has {cells.shape[1]} columns of marks, and names of {len(named)} classes")
    return cells.astype(bool)


def _different(cells: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, list[Any], list[int]]:
    """Return which of the different cells each item has, these, and the first row of each."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O" and cells.size == len(cells):
        values, rows, which = np.unique(cells.ravel(), return_index=True, return_inverse=True)
        return which, values.tolist(), rows.tolist()
    place: dict[Any, int] = {}
    different: list[Any] = []
    first: list[int] = []
    which = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells):
        key = _key(cell)
        at = which[row] = place.setdefault(key, len(place))
        if at == len(different):
            different.append(cell)
            first.append(row)
    return which, different, first


def _key(cell: Any) -> Any:
    """Return a key that is equal for equal cells; 1, True and "1" differ."""
    if isinstance(cell, str):
        return cell
    if _is_list(cell):
        return tuple(map(_key, cell))
    return repr(cell)


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple | set | frozenset | np.ndarray)


def _labels_of(cell: Any, column: LabelColumn) -> tuple[tuple[str, ...], bool]:
    """Return the labels of a cell, and whether it is a list of them."""
    if isinstance(cell, bytes):
        cell = _decoded(cell)
    if isinstance(cell, str) and not column.are_names:
        listed = several(normal(cell))
        cell = cell if listed is None else listed
    if not _is_list(cell):
        return (_label(cell),), False
    if not len(cell):
        raise Unreadable("is empty; give every item a label, several with | or ; between them")
    return tuple(map(_label, cell)), True


def _label(value: Any) -> str:
    """Return a label as a text: a whole number in digits, a truth value as True or False, all else as it is."""
    if isinstance(value, np.generic):
        value = value.item() if value.dtype.kind in "iufbUS" else str(value.dtype)
    if isinstance(value, bytes):
        value = _decoded(value)
    if isinstance(value, str):
        text = normal(value)
        if text in MISSING:
            raise Unreadable(f"is {text}, as programs write a missing value; give every item a label")
        if not text:
            raise Unreadable("is empty; give every item a label, several with | or ; between them")
        return text
    if isinstance(value, dict):
        raise Unreadable(struct(value))
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        raise Unreadable("is empty (None or NaN); give every item a label")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise Unreadable(f"is {value!s:.{SHOWN}} ({type(value).__name__}), {EXPECTED}")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("is bytes that are no text in UTF-8") from error


def _are_marks(given: Given) -> bool:
    """Return whether all lists have one length and hold 0 and 1 alone: a mark for each label."""
    named = given.column.class_names
    if given.width < 2 or (named and len(named) != given.width):
        return False
    return any(given.labels.keys() <= values for values in MARKS)


def _refuse_counts(given: Given) -> None:
    """Raise for lists of one length in which a number appears twice: labels, or how often an item has each."""
    if given.width < 2 or given.column.class_names or not all(map(NUMBER.fullmatch, given.labels)):
        return
    for cell, row in zip(given.cells, given.rows, strict=True):
        if len(set(cell)) < len(cell):
            shown = f"[{', '.join(cell)}]"
            raise InputError(
                f"{given.column.row_shown_as(row)}: {shown:.{SHOWN}} can be {len(cell)} labels, of which one stands "
                f"there twice, or a number for each of {len(cell)} labels, since all lists have that length: give a "
                "matrix of 0 and 1, or lists without repeated labels"
            )


def _named(given: Given) -> Given:
    """Return the labels by the names that the file has for its numbers; a name of two numbers is two classes."""
    called = [normal(name) for name in given.column.class_names]
    uses = Counter(called)
    names = [f"{name} ({number})" if uses[name] > 1 else name for number, name in enumerate(called)]
    cells = []
    for cell, row in zip(given.cells, given.rows, strict=True):
        unknown = [label for label in cell if not (label.isdecimal() and int(label) < len(names))]
        if unknown:
            raise InputError(
                f"{given.column.row_shown_as(row)}: a label is {unknown[0]}, the file names the classes 0 to "
                f"{len(names) - 1}; leave out what has no class"
            )
        cells.append(tuple(names[int(label)] for label in cell))
    texts = frozenset(given.column.class_names)
    return Given(given.column, given.which, cells, given.rows, given.are_lists, texts=texts)


def all_numbers(labels: Iterable[str]) -> bool:
    """Return whether all labels are whole numbers."""
    return all(map(NUMBER.fullmatch, labels))
