"""hashbench's JSON files: decoded strictly, and checked by msgspec, which names the place of a fault."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Share = Annotated[float, Meta(ge=0, le=1)]


class Misfit(ValueError):
    """Content is no JSON, or not what it should be; the text says what was expected and where."""


class Text(str):
    """Text of a special form, as the type of a field; what is read is plain text."""

    expected: ClassVar[str]

    @staticmethod
    def fits(text: str, /) -> bool:
        """Return whether a text has that form."""
        raise NotImplementedError


class Line(Text):
    """Text whose characters can all be seen."""

    expected = "a line of printable characters"
    fits = staticmethod(str.isprintable)


class Prose(Text):
    """Text of any characters that UTF-8 can write."""

    expected = "text"

    @staticmethod
    def fits(text: str, /) -> bool:
        """Return whether UTF-8 can write it: a name of a file can hold what is none."""
        return not any("\ud800" <= letter <= "\udfff" for letter in text)


def decoded(content: bytes | str, kind: Any = dict[str, Any]) -> Any:
    """Return what JSON holds, once it is of a type; keys that the type does not name are kept.

    Parameters
    ----------
    content : bytes or str
    kind : type
        Such as a TypedDict.

    Raises
    ------
    Misfit
        ``content`` is no JSON, holds NaN or a number without end, is nested too deep, or is not of the type.
    """
    # Not by msgspec: it refuses what Python writes of a name that is not UTF-8, half of a surrogate pair.
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except ValueError as error:
        raise Misfit(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise Misfit("it is nested too deep") from error
    checked(values, kind)
    return values


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too great")
    return value


def checked(values: Any, kind: Any) -> None:
    """Refuse decoded JSON that is not of a type.

    Raises
    ------
    Misfit
        It is not.
    """
    try:
        msgspec.convert(values, kind, dec_hook=_special)
    except msgspec.ValidationError as error:
        raise Misfit(str(error).replace("`$.", "`")) from error  # as people write it: config.n_bits
    except UnicodeEncodeError as error:
        raise Misfit(f"it holds {error.object!r:.60}, which is not UTF-8") from error


def _special(kind: type[Text], value: Any) -> Text:
    """Return a text of a special form; msgspec adds the place to what is raised."""
    if not isinstance(value, str) or not kind.fits(value):
        shown = repr(value)[:60]
        raise ValueError(f"Expected {kind.expected}, got {shown}")
    return kind(value)
