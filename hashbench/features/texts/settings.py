"""What a user writes for a backbone of texts: ``tfidf[max_features=5000,stop_words=english]``."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from hashbench.errors import InputError, shorten

TFIDF, SENTENCES, MINILM = "tfidf", "sentences", "minilm"
BACKBONES = (TFIDF, MINILM, SENTENCES)
_SPEC = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<inside>[^\[\]]*)\])?")


@dataclass(frozen=True)
class TfidfSettings:
    """How words become numbers; names are scikit-learn's where it has them.

    Attributes
    ----------
    weighting : {"tfidf", "counts"}
        TF-IDF (of length 1), or how often each word occurs.
    max_features : int
        How many words are kept: the most frequent of the training texts.
    min_df : int
        In how many training texts a word must occur.
    stop_words : {"none", "english"}
        Which words are left out before.
    unit : {"words", "characters"}
        Words of two letters or more, or single characters and pairs of them, for languages without spaces.
    """

    weighting: Literal["tfidf", "counts"] = "tfidf"
    max_features: int = 2000
    min_df: int = 1
    stop_words: Literal["none", "english"] = "none"
    unit: Literal["words", "characters"] = "words"

    @property
    def name(self) -> str:
        """The backbone's name, with what differs from the defaults."""
        plain = TfidfSettings()
        changed = {one.name: getattr(self, one.name) for one in fields(self)}
        inside = ",".join(f"{name}={value}" for name, value in changed.items() if value != getattr(plain, name))
        return f"{TFIDF}[{inside}]" if inside else TFIDF


def read_backbone(text: str) -> tuple[str, TfidfSettings]:
    """Return the name of a backbone of texts, and its settings.

    Raises
    ------
    InputError
        There is no such backbone, or a setting cannot be used.
    """
    parts = _SPEC.fullmatch(text.strip())
    name = "" if parts is None else parts["name"].strip()
    if parts is None or name not in BACKBONES:
        raise InputError(
            f"--backbone {shorten(text)}: for texts, expected {TFIDF}, {MINILM}, or {SENTENCES} with --weights FOLDER"
        )
    given = [one.strip() for one in (parts["inside"] or "").split(",") if one.strip()]
    if given and name != TFIDF:
        raise InputError(f"--backbone {shorten(text)}: {name} has no settings; leave the brackets out")
    chosen: dict[str, str | int] = {}
    for assignment in given:
        key, _, value = (word.strip() for word in assignment.partition("="))
        if key in chosen:
            raise InputError(f"--backbone {shorten(text)}: {key} is given twice")
        chosen[key] = _value(key, value, text)
    return name, TfidfSettings(**chosen)  # type: ignore[arg-type]


def _value(key: str, value: str, text: str) -> str | int:
    """Return a setting's value as its type has it."""
    hints = get_type_hints(TfidfSettings)
    if key not in hints:
        raise InputError(f"--backbone {shorten(text)}: {TFIDF} has no {shorten(key)!r}; it has {', '.join(hints)}")
    choices = get_args(hints[key])
    if choices and value not in choices:
        raise InputError(f"--backbone {shorten(text)}: {key}={shorten(value)}: expected one of {', '.join(choices)}")
    if choices:
        return value
    if not re.fullmatch("[1-9][0-9]{0,6}", value):
        raise InputError(f"--backbone {shorten(text)}: {key}={shorten(value)}: expected a whole number from 1 on")
    return int(value)
