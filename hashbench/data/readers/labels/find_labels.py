"""Which column of a table, or which array of a file, holds labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from hashbench.errors import InputError

FIRST = ("label", "labels")
"""A column with such a name is used even if others could be labels, too."""
OTHERS = (
    "class", "classes", "classid", "classlabel", "classname", "category", "categories", "categoryid", "categoryname",
    "coarselabel", "finelabel", "labelid", "labelname", "target", "targets", "tag", "tags", "y",
)  # fmt: skip
NONE = "none"
"""Value instead of a column, to read no labels."""
_SEPARATOR = re.compile(r"[\s_.-]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
LISTED = 8
"""Names that a line repeats."""


def label_column(names: Sequence[str], where: str, chosen: str | None = None) -> str | None:
    """Return the column that holds the labels.

    Parameters
    ----------
    names : sequence of str
        The columns that can be labels.
    where : str
        Name of the file in messages.
    chosen : str, optional
        The column that the user names, or `NONE`.

    Returns
    -------
    str or None
        None if no column has a usual name, or the user wants no labels.

    Raises
    ------
    InputError
        The file lacks the chosen column, or several columns have usual names.
    """
    if chosen is not None and chosen not in names:
        if chosen == NONE:
            return None
        raise InputError(f"{where} has no column {chosen}; its columns are {listed(names)}")
    found = [chosen] if chosen is not None else _usual(names)
    if len(found) > 1:
        raise InputError(
            f"{where} has the columns {' and '.join(found)}, which can all hold labels: name one with --label-column"
        )
    return found[0] if found else None


def label_arrays(names: Iterable[str], words: Mapping[str, Sequence[str]], where: str) -> dict[str, str]:
    """Return which arrays of a file hold labels: of each part, the array's name.

    Parameters
    ----------
    names : iterable of str
        The arrays' names, such as ``query_labels``, ``y_train`` or ``Labels``.
    words : dict from str to sequence of str
        Names of each part.
    where : str
        Name of the file in messages.

    Returns
    -------
    dict from str to str
        Labels that name no part have the key ``""``.

    Raises
    ------
    InputError
        Two arrays are the labels of one part.
    """
    by_part: dict[str, dict[str, str]] = {}
    for name in names:
        part, rest = _without_part(name, words)
        by_part.setdefault(part, {})[name] = rest
    found = {}
    for part, candidates in by_part.items():
        rests = list(candidates.values())
        usual = [name for name, rest in candidates.items() if rest in _usual(rests)]
        if len(usual) > 1:
            raise InputError(f"{where} has both {usual[0]} and {usual[1]}, which can both hold labels: remove one")
        if usual:
            found[part] = usual[0]
    return found


def is_label_array(name: str, words: Mapping[str, Sequence[str]]) -> bool:
    """Return whether an array's name, or a file's, says that it holds labels."""
    return bool(label_arrays([name], words, name))


def listed(names: Collection[object]) -> str:
    """Return names as a line repeats them: the first few, and how many more there are."""
    shown = ", ".join(str(name) for name in list(names)[:LISTED])
    return f"{shown} and {len(names) - LISTED:,} more" if len(names) > LISTED else shown or "none"


def passed_over(what: str, names: Collection[object]) -> list[str]:
    """Return what says which are not read; nothing where there are none."""
    return [f"{what}: {listed(names)}"] if names else []


def _usual(names: Iterable[str]) -> list[str]:
    """Return the names that say labels; those of `FIRST` alone, where there are any."""
    by_rank: dict[int, list[str]] = {}
    for name in names:
        folded = _SEPARATOR.sub("", name).lower()
        if folded in FIRST or folded in OTHERS:
            by_rank.setdefault(0 if folded in FIRST else 1, []).append(name)
    return by_rank[min(by_rank)] if by_rank else []


def _without_part(name: str, words: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return the part that an array's name begins or ends with, and the rest of the name."""
    said = [word.lower() for word in _WORD.findall(name)]
    for part, called in words.items():
        for at in (0, -1):
            if len(said) > 1 and said[at] in called:
                return part, "".join(said[1:] if at == 0 else said[:-1])
    return "", "".join(said)
