"""What arrays are by their names: codes or labels, of the queries or of the database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from hashbench.data.readers import parts

QUERY, DATABASE = parts.QUERY, parts.DATABASE
CODES, LABELS = "codes", "labels"
PARTS = {
    QUERY: ({*parts.PARTS[QUERY], "q", "qu", "tst", "te"}, {*parts.PARTS[parts.VALIDATION]}),
    DATABASE: (
        {*parts.PARTS[DATABASE], "databases", "dataset", "r", "re"},
        {*parts.PARTS[parts.TRAIN], "trn", "tr"},
    ),
}
"""Words for each part, and words for it where no array has one of the first."""
KINDS = {
    CODES: {"code", "codes", "hash", "hashes", "hashcode", "hashcodes", "binary", "b"},
    LABELS: {"label", "labels", "l", "target", "targets", "class", "classes"},
}
MODELS = {
    "model",
    "net",
    "network",
    "state_dict",
    "optimizer",
    "scheduler",
    "hparams",
    "opt",
    "args",
    "param",
    "params",
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


class Role(NamedTuple):
    """What a name says: part and kind, None where it says nothing, and whether the part's word is the second choice."""

    part: str | None
    kind: str | None
    weak: bool = False


def role_of(name: str, stem: str = "") -> Role:
    """Return the role of an array by its name, or by the name of its file.

    Parameters
    ----------
    name : str
        Such as ``tst_binary``, ``rB`` or ``test.codes``.
    stem : str
        The file's name without its suffix.

    Examples
    --------
    >>> role_of("rL")
    Role(part='database', kind='labels', weak=False)
    >>> role_of("codes", "coco_train")
    Role(part='database', kind='codes', weak=True)
    """
    by_name, by_stem = _role_in(name), _role_in(stem)
    part, weak = (by_name.part, by_name.weak) if by_name.part else (by_stem.part, by_stem.weak)
    return Role(part, by_name.kind or by_stem.kind, weak)


def _role_in(name: str) -> Role:
    words = [word.lower() for word in _WORD.findall(name)]
    kinds = [kind for word in words for kind, known in KINDS.items() if word in known]
    kind = kinds[-1] if kinds else None
    named = {part for word in words for part, known in PARTS.items() if word in known[0] | known[1]}
    if len(named) != 1:
        return Role(None, kind)
    (part,) = named
    return Role(part, kind, weak=not PARTS[part][0] & set(words))


def strongest(roles: Iterable[Role]) -> list[bool]:
    """Return which of several arrays of one part and kind count: those with a first word, where there are any."""
    weak = [role.weak for role in roles]
    return [not one or all(weak) for one in weak]


def is_model(name: str) -> bool:
    """Return whether a name is that of a network or its training, whose arrays are no codes."""
    return name.lower() in MODELS
