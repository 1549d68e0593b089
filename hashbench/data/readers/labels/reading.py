"""Labels of a whole data set: classes, or which labels each item has, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hashbench.data.readers.labels.cells import EXPECTED, LabelColumn
from hashbench.data.readers.labels.given import DECIMAL, Given, all_numbers, given_labels
from hashbench.data.readers.labels.texts import COMMA, SEPARATOR, Doubt, doubtful, doubtful_words, look, normal
from hashbench.errors import InputError

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Labels:
    """The labels of all items.

    Attributes
    ----------
    array : ndarray
        int64 of shape (n,), a class each; or bool of shape (n, n_labels).
    names : list of str
        Names of the classes or labels.
    notes : list of str
        Notes on how the files were read.
    """

    array: np.ndarray
    names: list[str]
    notes: list[str] = field(default_factory=list)


def read_labels(columns: Sequence[LabelColumn]) -> Labels:
    """Read the labels of a data set by the rules of docs/labels.md.

    Parameters
    ----------
    columns : sequence of LabelColumn
        At least one, with at least one item each; the items' order is theirs.

    Returns
    -------
    Labels
        Classes where every item has one label. Classes and labels are in ascending order, of numbers where all are
        whole numbers, else of texts; those of a matrix of marks in the order of its columns.

    Raises
    ------
    InputError
        A label is missing or unusable, can be read in two ways, or is the same for all items.
    """
    _refuse_unclear_names(columns)
    given = [given_labels(column) for column in columns]
    labels = _of_marks(given) if any(one.marks is not None for one in given) else _of_texts(given)
    _refuse_alike(labels, columns[0].shown_as)
    return labels


def _refuse_unclear_names(columns: Sequence[LabelColumn]) -> None:
    """Raise if files number their classes differently, and one has a name for two numbers."""
    lists = {tuple(map(normal, column.class_names)): column for column in columns if column.class_names}
    for names, column in lists.items():
        if len(lists) > 1 and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"{column.shown_as} calls two classes {twice!r}, and other files number theirs differently: which is "
                "which? give each class a name of its own"
            )


def _of_marks(given: Sequence[Given]) -> Labels:
    """Return marks as they are, or the one label that each item has as its class."""
    first = next(one for one in given if one.marks is not None)
    for one in given:
        if one.width != first.width or one.marks is None:
            raise InputError(
                f"{first.column.shown_as} holds marks for {first.width} labels, {one.column.shown_as} "
                f"{'labels' if one.marks is None else f'marks for {one.width}'}: expected the same"
            )
    names = [normal(name) for name in first.column.class_names] or [str(number) for number in range(first.width)]
    marks = np.concatenate([_in_order(one, names, first) for one in given])
    notes = [f"labels are lists of {first.width} marks, 0 or 1 for each label"]
    n_labels = np.count_nonzero(marks, axis=1)
    if (n_labels == 1).all():
        return Labels(marks.argmax(axis=1).astype(np.int64), names, notes)
    bare = np.count_nonzero(n_labels == 0)
    return Labels(marks, names, notes + ([f"items without a label: {bare:,}"] if bare else []))


def _in_order(given: Given, names: list[str], first: Given) -> np.ndarray:
    """Return marks with their columns in the order of the first file's names."""
    assert given.marks is not None
    own = [normal(name) for name in given.column.class_names]
    if bool(own) != bool(first.column.class_names) or (own and sorted(own) != sorted(names)):
        raise InputError(
            f"{given.column.shown_as} names its labels otherwise than {first.column.shown_as}: write both by the same "
            "names"
        )
    return given.marks[:, [own.index(name) for name in names]] if own else given.marks


def _of_texts(given: Sequence[Given]) -> Labels:
    """Return classes, or which labels each item has."""
    numbers = all_numbers(label for one in given for label in one.labels)
    if not numbers:
        _refuse_measures(given)
        _refuse_unmatched(given)
    spelt = _spelt(given, numbers)
    if numbers:
        _refuse_shifted(given, spelt)
    else:
        _refuse_doubtful(given)
    names = sorted(set(spelt.values()), key=int if numbers else None)
    place = {name: number for number, name in enumerate(names)}
    number_of = {label: place[name] for label, name in spelt.items()}
    notes = _notes(given)
    if all(len({number_of[label] for label in cell}) == 1 for one in given for cell in one.cells):
        classes = [np.array([number_of[cell[0]] for cell in one.cells], np.int64)[one.which] for one in given]
        return Labels(np.concatenate(classes), names, notes)
    return Labels(np.concatenate([_matrix(one, number_of, len(names)) for one in given]), names, notes)


def _matrix(given: Given, number_of: dict[str, int], n_labels: int) -> np.ndarray:
    marks = np.zeros((len(given.cells), n_labels), bool)
    for row, cell in enumerate(given.cells):
        marks[row, [number_of[label] for label in cell]] = True
    return marks[given.which]


def _spelt(given: Sequence[Given], numbers: bool) -> dict[str, str]:
    """Return what each label is called; 7 and 7.0 are one number.

    Raises
    ------
    InputError
        Two labels look alike, or a number cannot be a class.
    """
    names: dict[str, str] = {}
    first: dict[object, tuple[str, str]] = {}
    for one in given:
        for label in sorted(one.labels):
            where = one.where(label)
            name = label.partition(".")[0] if numbers else label
            if numbers and not 0 <= int(name) <= LARGEST:
                raise InputError(
                    f"{where}: a label is {name}, expected classes from 0 to 2**63 - 1; leave out what has no class"
                )
            other, there = first.setdefault(int(name) if numbers else look(name), (name, where))
            if other != name:
                raise InputError(
                    f"{where}: the labels {name!r} and {other!r} ({there}) differ only in case, width, spaces, "
                    "underscores or leading zeros: write one class in one way, and two so that they differ in more"
                )
            names[label] = name
    return names


def _refuse_measures(given: Sequence[Given]) -> None:
    """Raise for texts that are all numbers, some of them no whole ones."""
    if all(DECIMAL.fullmatch(label) for one in given for label in one.labels):
        where, label = next(
            (one.where(label), label) for one in given for label in one.labels if not all_numbers([label])
        )
        raise InputError(f"{where}: a label is {label}, {EXPECTED}")


def _refuse_unmatched(given: Sequence[Given]) -> None:
    """Raise if one file has class numbers and another names."""
    plain = [one for one in given if all_numbers(one.labels)]
    named = [one for one in given if not all_numbers(one.labels)]
    if plain and named:
        raise InputError(
            f"{plain[0].column.shown_as} holds numbers, {named[0].column.shown_as} names of classes, such as "
            f"{min(named[0].labels)!r}: which is which? give names in both, or numbers in both"
        )


def _refuse_shifted(given: Sequence[Given], spelt: dict[str, str]) -> None:
    """Raise if the classes of two files are the same numbers, counted from 0 in one and from 1 in the other."""
    numbered = [{int(spelt[label]) for label in one.labels} for one in given]
    for one, own in zip(given, numbered, strict=True):
        lower, upper = sorted((own, numbered[0]), key=min)
        if len(own) > 1 and upper == {number + 1 for number in lower}:
            raise InputError(
                f"{one.column.shown_as} has the classes {min(own)} to {max(own)}, {given[0].column.shown_as} "
                f"{min(numbered[0])} to {max(numbered[0])}: counted from 0 in one and from 1 in the other? count alike "
                "in both"
            )


def _refuse_doubtful(given: Sequence[Given]) -> None:
    """Raise for texts that are one label or several, where relevance depends on which."""
    single = sorted(frozenset().union(*(one.single for one in given)))
    names = sorted(set().union(*(one.labels for one in given if one.column.are_names or one.column.class_names)))
    for doubt, way_out in (
        (doubtful(single, COMMA), "write | between labels, and no comma in the name of a class"),
        (doubtful_words(single), "write | between labels, and _ for the spaces in the name of a class"),
        (doubtful(names, SEPARATOR), "give labels as lists, and write no | or ; in the name of a class"),
    ):
        if doubt is not None:
            raise InputError(f"{_said(doubt, given)}: {way_out}")


def _said(doubt: Doubt, given: Sequence[Given]) -> str:
    where = next(one.where(doubt.text) for one in given if doubt.text in one.labels)
    return (
        f"{where}: {doubt.text!r} can be one class or the labels {', '.join(map(repr, doubt.pieces))}, and "
        f"{doubt.shared!r} is in {doubt.other!r} too"
    )


def _notes(given: Sequence[Given]) -> list[str]:
    """Return what was joined: spellings, and class numbers by their names."""
    spellings: dict[str, set[str]] = {}
    for text in frozenset().union(*(one.texts for one in given)):
        spellings.setdefault(normal(text), set()).add(text)
    notes = [
        f"{label!r} is written in {len(texts)} ways, which differ in outer spaces or in the Unicode form alone"
        for label, texts in sorted(spellings.items())
        if len(texts) > 1 and not SEPARATOR.search(label)
    ]
    if len({tuple(one.column.class_names) for one in given if one.column.class_names}) > 1:
        notes.append("the files number their classes differently; they are matched by name")
    return notes


def _refuse_alike(labels: Labels, shown_as: str) -> None:
    """Raise if a label is that of every item, so that all would be relevant to all."""
    first = labels.array[0]
    alike = labels.array.all(axis=0) if first.ndim else np.array([(labels.array == first).all()])
    if alike.any():
        name = labels.names[int(np.argmax(alike)) if first.ndim else int(first)]
        raise InputError(
            f"{shown_as}: every item has the label {name}: all would be alike; give other labels, or leave it out"
        )
