"""The words that name a part of data, in folders, files, columns and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hashbench.data.readers.match_names import column_of
from hashbench.errors import InputError

QUERY, DATABASE, TRAIN, VALIDATION = "query", "database", "train", "validation"
PARTS = {
    TRAIN: ("train", "training", "trainset"),
    QUERY: ("query", "queries", "test", "testing", "testset", "probe"),
    DATABASE: ("database", "db", "gallery", "retrieval", "base"),
    VALIDATION: ("validation", "valid", "val", "dev", "development"),
}
"""Names of each part, in lower case."""
PART_OF = {word: part for part, words in PARTS.items() for word in words}
COLUMNS = ("part", "split", "set", "subset")
"""Names of a column of parts."""
ARRANGEMENTS = ({TRAIN, QUERY}, {QUERY, DATABASE}, {QUERY, DATABASE, TRAIN})
"""Parts that can be used together."""
EXPECTED = "train and test, or query and database and perhaps train"
_SEPARATOR = re.compile(r"[-_. ]+")


def part_of(text: Any) -> str | None:
    """Return the part that a word names, or None.

    Examples
    --------
    >>> part_of("Training"), part_of(" TEST "), part_of("val"), part_of("cat")
    ('train', 'query', 'validation', None)
    """
    return PART_OF.get(text.strip().casefold()) if isinstance(text, str) else None


def word_in(name: str) -> tuple[str | None, str]:
    """Return the first or the last word of a name where that is the name of a part, and the rest of the name.

    Examples
    --------
    >>> word_in("pets-train"), word_in("Test_v2"), word_in("cats")
    (('train', 'pets'), ('Test', 'v2'), (None, 'cats'))
    """
    words = [word for word in _SEPARATOR.split(name.strip()) if word]
    ends = [at for at in sorted({0, len(words) - 1}) if words and part_of(words[at])]
    if len({part_of(words[at]) for at in ends}) != 1:
        return None, name
    return words[ends[0]], "-".join(words[: ends[0]] + words[ends[0] + 1 :])


def parts_in(names: Iterable[str]) -> dict[str, str]:
    """Return the part that each of some names names, by words alone or with the same rest in all of them.

    Returns
    -------
    dict from str to str
        Empty unless every name names a part, and together they name two or more.
    """
    found = {name: word_in(name) for name in names}
    named = {name: part for name, (word, _) in found.items() if (part := part_of(word))}
    if len(named) < len(found) or len(set(named.values())) < 2 or len({rest for _, rest in found.values()}) > 1:
        return {}
    return named


@dataclass(frozen=True)
class Arrangement:
    """The use of named parts.

    Attributes
    ----------
    part_of : dict from str to str
        ``query``, ``database`` or ``train``, by the names that the data gives the parts; empty where queries are drawn.
    left_out : list of str
        Names of validation parts that are not used.
    """

    part_of: dict[str, str]
    left_out: list[str]


def arranged(named: Mapping[str, str], where: object) -> Arrangement:
    """Return the use of the parts that the data names.

    A validation part gives the queries where there is no other, and is left out otherwise. A part that is the only one
    is all of the data: its name says nothing of what is searched for in what.

    Parameters
    ----------
    named : dict from str to str
        What the data calls its parts, in order, and which of `PARTS` each is.
    where : object
        Name of the data in messages.

    Raises
    ------
    InputError
        The parts do not go together, or two names are of the same part.
    """
    held_out = [name for name, part in named.items() if part == VALIDATION]
    used = {name: part for name, part in named.items() if part != VALIDATION}
    if held_out and used and QUERY not in used.values():
        used[held_out.pop(0)] = QUERY
    for part in dict.fromkeys(used.values()):
        names = [name for name, one in used.items() if one == part]
        if len(names) > 1:
            raise InputError(f"{where} has {' and '.join(names)}, which are two names of one part: remove or merge one")
    if len(named) == 1:
        return Arrangement({}, [])
    if set(used.values()) not in ARRANGEMENTS:
        raise InputError(f"{where} has the parts {', '.join(named)}; expected {EXPECTED}")
    return Arrangement(used, held_out)


def part_column(columns: Iterable[str], where: object) -> str | None:
    """Return the column that says each item's part, or None where there is none.

    Raises
    ------
    InputError
        Several columns have a name that means the part, so it is unclear which is meant.
    """
    return column_of(columns, COLUMNS, where, "that of the parts")


def parts_of_column(
    cells: Sequence[Any], where: str, first: int = 1, more: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return which part each different word of a column names, in the order of their first rows.

    Parameters
    ----------
    cells : sequence
        The words, one a row.
    where : str
        Name of the column's file in messages.
    first : int
        Number of the first row in messages.
    more : dict from str to str
        Words, in lower case, that name parts here alone, and which.

    Raises
    ------
    InputError
        A word does not name a part; the message says in which row, and in how many.
    """
    named: dict[str, str] = {}
    for row, cell in enumerate(cells, first):
        if isinstance(cell, str) and cell in named:
            continue
        part = part_of(cell) or (more.get(cell.strip().casefold()) if isinstance(cell, str) else None)
        if part is None:
            n, known = sum(one is cell or one == cell for one in cells), ", ".join((*PART_OF, *more))
            raise InputError(f"{where} row {row}: the part {cell!r} is none of {known} ({n:,} rows)")
        named[cell] = part
    return named


def rows_of_column(cells: Sequence[Any], where: str, first: int = 1) -> tuple[Sequence[int], list[str], list[str]]:
    """Return the rows that a column of parts gives a use, and which.

    Parameters
    ----------
    cells : sequence
        The words, one a row.
    where : str
        Name of the column's file in messages.
    first : int
        Number of the first row in messages.

    Returns
    -------
    rows : sequence of int
    parts : list of str
        ``query``, ``database`` or ``train`` for each of these rows; empty where all rows are of one part.
    left_out : list of str
        Description of the rows that are left out.

    Raises
    ------
    InputError
        A word does not name a part, or the parts do not go together.
    """
    named = parts_of_column(cells, where, first)
    used = arranged({part: part for part in named.values()}, where)
    if not used.part_of:
        return range(len(cells)), [], []
    kept = [row for row, cell in enumerate(cells) if named[cell] in used.part_of]
    n_left_out = len(cells) - len(kept)
    left_out = [f"{n_left_out:,} rows of the part {used.left_out[0]}: others are the queries"] if n_left_out else []
    return kept, [used.part_of[named[cells[row]]] for row in kept], left_out
