"""Options: a field says name, default, help text and limits once, for the command line and for Python alike."""

from __future__ import annotations

import inspect
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from hashbench.errors import InputError, shorten

EXPECTED = {
    bool: "true or false",
    Path: "a path as a text",
    str: "a text, or a list of texts or whole numbers",
    int: "a whole number",
    float: "a number",
}
SIZE = re.compile(r"\s*([0-9.]+(?:e[0-9]+)?)\s*(?:([kmgt]?)(i?)b|([kmgt]))?\s*", re.IGNORECASE)


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    minimum: float | None = None,
    flag: str | None = None,
    read: Callable[[str], Any] | None = None,
) -> Any:
    """Return a dataclass field that is an option.

    Parameters
    ----------
    default : object
    help : str
        One sentence for people.
    choices : sequence of str
        The values that it may have; any where it is empty.
    minimum : float, optional
    flag : str, optional
        Its name on the command line where it differs, such as ``"--plugin"``.
    read : callable, optional
        Makes its value of a text; raises ValueError with what it expects.
    """
    metadata = {"help": help, "choices": tuple(choices), "minimum": minimum, "flag": flag, "read": read}
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def default_of(one: Field[Any]) -> Any:
    """Return the default of an option."""
    return one.default if one.default_factory is MISSING else one.default_factory()


def flag_of(one: Field[Any]) -> str:
    """Return the name of an option on the command line."""
    return one.metadata.get("flag") or f"--{one.name.replace('_', '-')}"


def options_of(kind: type, values: Mapping[str, Any]) -> Any:
    """Return options made of values as the command line, a file or Python gives them.

    Parameters
    ----------
    kind : type
        A dataclass of `option` fields.
    values : mapping
        By name. Where an option is a text, a list of texts or whole numbers is taken too; where it is a number or a
        path, a text; a path may begin with ``~``, the home directory.

    Raises
    ------
    InputError
        A value is of another type, not one of the choices, or below the minimum.
    """
    hints, known = get_type_hints(kind), {one.name: one for one in fields(kind) if one.metadata}
    made = dict(values)
    for name in values.keys() & known.keys():
        try:
            made[name] = as_kind(values[name], known[name], hints[name])
        except ValueError as error:
            raise InputError(f"{flag_of(known[name])} {shorten(str(values[name]))}: expected {error}") from None
    options = kind(**made)
    check_options(options)
    return options


def as_kind(value: Any, one: Field[Any], hint: Any) -> Any:
    """Return a value as an option holds it.

    Parameters
    ----------
    value : object
    one : Field
    hint : type
        The option's type.

    Raises
    ------
    ValueError
        The value is of another type; the message says what is expected.
    """
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    if one.metadata.get("read") and isinstance(value, str):
        return one.metadata["read"](value)
    if get_origin(hint) is Sequence:
        together = isinstance(value, Iterable) and not isinstance(value, str)
        return tuple(_as(Path, path) for path in (value if together else [value]))
    return _as(next(kind for kind in EXPECTED if kind in kinds), value)


def _as(kind: type, value: Any) -> Any:
    """Return a value as a truth value, path, text or number; ValueError says what is expected."""
    try:
        if kind is Path and isinstance(value, str | os.PathLike) and os.fspath(value):
            return home_expanded(value)
        if kind is bool and isinstance(value, bool):
            return value
        if kind is str:
            values = value if isinstance(value, Iterable) else [value]
            return value if isinstance(value, str) else ",".join(map(_as_word, values))
        if kind is int and not isinstance(value, bool):
            return int(value) if isinstance(value, str) else operator.index(value)
        if kind is float and not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(EXPECTED[kind])


def _as_word(value: Any) -> str:
    if isinstance(value, bool):
        raise TypeError
    return value if isinstance(value, str) else str(operator.index(value))


def home_expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home directory in place of ``~``, as a shell would give it."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # "~name" of nobody is a name like others, for a shell too
        return Path(path)


def megabytes(text: str) -> float:
    """Return a size in MB of a text: a number of MB, or one with a unit such as ``2GB``, ``1.5GiB`` or ``500k``.

    Raises
    ------
    ValueError
        The text is not a size.
    """
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError("MB, or a size such as 2GB, 1.5GiB or 500MB")
    number, unit, binary, short = match.groups()
    if unit is None and short is None:
        return float(number)
    return float(number) * (1024 if binary else 1000) ** " kmgt".index((unit or short or " ").lower()) / 1e6


def check_options(options: Any) -> None:
    """Raise if an option has a value that it cannot have.

    Parameters
    ----------
    options : dataclass instance

    Raises
    ------
    InputError
        A value is not one of the choices, or below the minimum.
    """
    for one in fields(options):
        value, choices, minimum = getattr(options, one.name), one.metadata.get("choices"), one.metadata.get("minimum")
        if choices and value is not None and value not in choices:
            raise InputError(f"{flag_of(one)} {value}: expected one of {', '.join(choices)}")
        if minimum is not None and value is not None and not value >= minimum:
            raise InputError(f"{flag_of(one)} {value}: expected at least {minimum:g}")


def signature_of(options: type, function: Callable[..., Any] | None = None) -> inspect.Signature:
    """Return the signature of a function that takes an options class's fields by keyword, after what else it takes."""
    before = inspect.signature(function).parameters.values() if function else ()
    hints, keyword = get_type_hints(options), inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            *(one for one in before if one.kind != inspect.Parameter.VAR_KEYWORD),
            *(
                inspect.Parameter(one.name, keyword, default=default_of(one), annotation=hints[one.name])
                for one in fields(options)
            ),
        ]
    )
