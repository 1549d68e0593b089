"""Labels in a text: one or several."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

SEPARATOR = re.compile(r"[|;]")
"""Separators of labels, which cannot be part of a label."""
COMMA = re.compile(r",")
MISSING = ("nan", "NaN", "NaT", "<NA>")
"""Texts for a missing value."""
WORDS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
WORDS |= dict.fromkeys(MISSING)
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = re.compile(rf"(?P<quoted>{_QUOTED})|(?P<number>[+-]?\d+(?:\.\d*)?(?![\w.]))|(?P<word>\w+|<NA>)", re.DOTALL)
_GAP = re.compile(r"\s*,\s*|\s+|\Z")
_OF_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")
BRACKETS = {"[": "]", "(": ")", "{": "}"}


class Unreadable(ValueError):
    """A text looks like a list or an object, but is not a list of labels; the message says what it is."""


class Doubt(NamedTuple):
    """A text that may be one label or several: the text, the labels that it may hold, and a text that shares one."""

    text: str
    pieces: list[str]
    shared: str
    other: str


def normal(text: str) -> str:
    """Return a text in the one form in which labels are compared: composed letters (NFC), no spaces around."""
    return unicodedata.normalize("NFC", text).strip(" \t\r\n\v\f\u00a0\ufeff")


def look(text: str) -> str:
    """Return what texts have in common that a reader would take for one label: case, width, spaces left out."""
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).lower().replace("_", " ").split())


def several(text: str) -> list[Any] | None:
    """Return what a text lists: labels with | or ; between them, or a list as Python, JSON or numpy write it.

    Returns
    -------
    list or None
        Texts, numbers, truth values, None where one is missing; None in place of the list where the text is one label.

    Raises
    ------
    Unreadable
        The text begins and ends like a list or an object, but is not a list of labels.
    """
    if len(text) > 1 and BRACKETS.get(text[0]) == text[-1]:
        items = _items(_OF_NUMPY.sub(r"\1", text)[1:-1].strip())
        if items is not None and (text[0] != "(" or "," in text):
            return items
        if text[0] == "[":
            raise Unreadable("looks like a list and is none of labels; write it as JSON does, or with | between labels")
        if text[0] == "{" and (fields := _fields(text)):
            raise Unreadable(struct(fields))
    return SEPARATOR.split(text) if SEPARATOR.search(text) else None


def struct(fields: Iterable[object]) -> str:
    """Return the message about a label that is an object with several fields."""
    named = [str(field) for field in fields]
    return f"is an object with the fields {', '.join(named)}: keep the one that is the label, {' or '.join(named)}"


def doubtful(texts: Iterable[str], separator: re.Pattern[str]) -> Doubt | None:
    """Return a text that is one label or several, where relevance depends on which; None if there is none.

    That is a text with a separator in it, of which a piece is in another text too: read as several labels, the two
    share one. Where no piece is in two texts, both readings are the same relevance.

    Parameters
    ----------
    texts : iterable of str
        All different.
    separator : re.Pattern
        What may be between labels, or in one.
    """
    first: dict[str, str] = {}
    for text in texts:
        for piece in {look(piece): piece.strip() for piece in separator.split(text)}.values():
            other = first.setdefault(look(piece), text)
            if other != text:
                text, other = (text, other) if separator.search(text) else (other, text)
                return Doubt(text, [one.strip() for one in separator.split(text)], piece, other)
    return None


def doubtful_words(texts: Iterable[str]) -> Doubt | None:
    """Return a text of words with spaces, where all such texts are made of fewer words than there are texts.

    That is rare for names, and common for several labels separated by spaces.
    """
    spaced = [text for text in texts if len(text.split()) > 1]
    users: dict[str, list[str]] = {}
    for text in spaced:
        for word in set(text.split()):
            users.setdefault(word, []).append(text)
    if len(users) >= len(spaced):
        return None
    word, (text, other, *_) = max(users.items(), key=lambda item: len(item[1]))
    return Doubt(text, text.split(), word, other)


def _items(content: str) -> list[Any] | None:
    """Return the items of a list, with commas or spaces between them; None if it is none of plain values."""
    items, at = [], 0
    while at < len(content):
        item = _ITEM.match(content, at)
        gap = _GAP.match(content, item.end()) if item else None
        if item is None or gap is None:
            return None
        try:
            items.append(_value(item))
        except (ValueError, SyntaxError, KeyError):
            return None
        at = gap.end()
    return items


def _value(item: re.Match[str]) -> Any:
    text = item.group()
    if item["number"]:
        return float(text) if "." in text else int(text)
    if item["word"]:
        return WORDS[text]
    try:
        return json.loads(text)  # some JSON escapes are not Python's
    except ValueError:
        return ast.literal_eval(text)


def _fields(text: str) -> list[object]:
    """Return the fields of an object that a text holds, as JSON or Python write it."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, dict) else []
    return []
