"""JSON files of hashbench's own: decoded and checked against a type by msgspec, which names the place of a fault."""

from __future__ import annotations

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

    @classmethod
    def fits(cls, text: str) -> bool:
        """Return whether a text has that form."""
        raise NotImplementedError


class Line(Text):
    """Text whose characters can all be seen."""

    expected = "a line of printable characters"

    @classmethod
    def fits(cls, text: str) -> bool:
        """Return whether all characters can be seen."""
        return text.isprintable()


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
    try:
        values = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misfit(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise Misfit("it is nested too deep") from error
    checked(values, kind)
    return values


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
        raise Misfit(_without_root(str(error))) from error


def _special(kind: type[Text], value: Any) -> Text:
    """Return a text of a special form; msgspec adds the place to what is raised."""
    if not isinstance(value, str) or not kind.fits(value):
        shown = repr(value)[:60]
        raise ValueError(f"Expected {kind.expected}, got {shown}")
    return kind(value)


def _without_root(message: str) -> str:
    """Return msgspec's message with the place as people write it: ``config.n_bits`` for ``$.config.n_bits``."""
    return message.replace("`$.", "`")
