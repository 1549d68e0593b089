"""Reads what the user writes: method specifications such as ``cibhash[beta=0.001,epochs=20],itq``."""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import math
import operator
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hashbench.errors import InputError

MAX_BITS = 4096
MAX_SEED = 2**32 - 1
RESERVED = ("n_bits", "random_state")
DIMS = "dims"
"""What is written among a method's parameters and is none: to how many dimensions vectors are cut before it."""
OPENING = {"[": "]", "(": ")", "{": "}"}
CLOSING = frozenset(OPENING.values())
UNIONS = (types.UnionType, typing.Union)
WORD = re.compile(r"[\w./:-]+")
COUNT = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class MethodSpec:
    """A method's name and the parameters that the user set, as text."""

    name: str
    values: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """The specification as it is written on the command line."""
        inside = ",".join(f"{key}={value}" for key, value in self.values)
        return f"{self.name}[{inside}]" if inside else self.name


def parse_methods(text: str) -> list[MethodSpec]:
    """Split a list of specifications; ``|`` between values makes a grid.

    Parameters
    ----------
    text : str
        Such as ``"cibhash[beta=0|0.001,widths=(1024,256),name='a,b'],itq"``: values are Python's literals, or words
        without brackets and quotes. Nothing is evaluated.

    Returns
    -------
    list of MethodSpec
        One per combination of values, in the order written; repeated ones once.

    Raises
    ------
    InputError
        The text does not have that form; the message says where.
    """
    specs: list[MethodSpec] = []
    for start, item in _split(text, ",", 0, len(text), text):
        name, bracket, _ = item.partition("[")
        if not name.strip() or (bracket and not item.endswith("]")):
            raise _unreadable(text, start, "write name or name[parameter=value,...]")
        choices = []
        first = start + len(name) + 1
        for at, assignment in _split(text, ",", first, start + len(item) - 1, text) if bracket else []:
            key, equals, values = assignment.partition("=")
            if not equals or not key.strip().isidentifier() or not values.strip():
                raise _unreadable(text, at, "write parameter=value")
            at += len(key) + 1
            choices.append([(key.strip(), _value(text, *one)) for one in _split(text, "|", at, at + len(values), text)])
        specs += [MethodSpec(name.strip(), values) for values in itertools.product(*choices)]
    if not specs:
        raise InputError("--methods is empty: name at least one, see hashbench list")
    return list(dict.fromkeys(specs))


def split_names(text: str, option: str) -> list[str]:
    """Return the distinct names of a comma-separated list; commas in brackets belong to a name.

    Raises
    ------
    InputError
        The list is empty, or a bracket is not closed.
    """
    names = [name for _, name in _split(text, ",", 0, len(text), text, option)]
    if not names:
        raise InputError(f"{option} is empty: name at least one")
    return list(dict.fromkeys(names))


def _split(
    text: str, separator: str, start: int, end: int, whole: str, option: str = "--methods"
) -> list[tuple[int, str]]:
    """Return the pieces of a part of a text, with where they begin; what is in brackets or quotes is not split."""
    pieces, open_at, quote, first = [], list[int](), "", start
    for at in range(start, end):
        letter = text[at]
        if quote:
            quote = "" if letter == quote and text[at - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
            quoted_at = at
        elif letter in OPENING:
            open_at.append(at)
        elif letter in CLOSING:
            if not open_at or OPENING[text[open_at.pop()]] != letter:
                raise _unreadable(whole, at, "this bracket was not opened", option)
        elif letter == separator and not open_at:
            pieces.append((first, text[first:at]))
            first = at + 1
    if quote:
        raise _unreadable(whole, quoted_at, "this quotation mark is not closed", option)
    if open_at:
        raise _unreadable(whole, open_at[-1], "this bracket is not closed", option)
    pieces.append((first, text[first:end]))
    stripped = [(at + len(piece) - len(piece.lstrip()), piece.strip()) for at, piece in pieces]
    return [(at, piece) for at, piece in stripped if piece]


def _unreadable(text: str, at: int, why: str, option: str = "--methods") -> InputError:
    """Return an error that marks a place in the text."""
    around = text[max(at - 40, 0) : at] + "▸" + text[at : at + 40]
    return InputError(f"{option}: cannot read column {at + 1} of {around!r}: {why}")


def _value(text: str, at: int, value: str) -> str:
    """Return a value that is a literal or a plain word."""
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if not WORD.fullmatch(value):
            raise _unreadable(text, at, "a value is a number, a word, a 'quoted text', a list or a tuple") from None
    return value


def without_dims(spec: MethodSpec, method_class: type) -> tuple[MethodSpec, int | None]:
    """Return a specification without ``dims=``, and what that says; None where it says nothing.

    A method with a parameter of that name gets it as such.

    Raises
    ------
    InputError
        ``dims`` is given twice, or is not a positive whole number.
    """
    given = [text for key, text in spec.values if key == DIMS]
    if not given or DIMS in inspect.signature(method_class).parameters:
        return spec, None
    if len(given) > 1:
        raise InputError(f"{spec.label}: dims is given twice")
    if not COUNT.fullmatch(given[0]):
        raise InputError(
            f"{spec.label}: dims={given[0]:.60} is no whole number from 1 on; it says how many of their first "
            "dimensions vectors keep"
        )
    return replace(spec, values=tuple(pair for pair in spec.values if pair[0] != DIMS)), int(given[0])


def typed_params(spec: MethodSpec, method_class: type) -> dict[str, Any]:
    """Return a specification's parameters as values of the types that the method declares.

    A parameter's type is its annotation or, without one, that of its default.

    Raises
    ------
    InputError
        The method has no such parameter, or the value is of another type.
    """
    declared = {
        name: parameter
        for name, parameter in inspect.signature(method_class).parameters.items()
        if name not in RESERVED
    }
    hints = typing.get_type_hints(method_class.__init__)  # type: ignore[misc]
    params: dict[str, Any] = {}
    for key, text in spec.values:
        if key in RESERVED:
            option = {"n_bits": "--bits", "random_state": "--seeds"}[key]
            raise InputError(f"{spec.label}: {key} is set by {option}")
        if key not in declared:
            near = difflib.get_close_matches(key, [*declared, DIMS], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(declared) or 'none'}"
            raise InputError(f"{spec.name} has no parameter {key!r}; {hint}")
        if key in params:
            raise InputError(f"{spec.label}: {key} is given twice")
        default = declared[key].default
        allowed = hints.get(key, Any if default is None or default is inspect.Parameter.empty else type(default))
        params[key] = _typed(text, allowed, f"{spec.name}: {key}={text}")
    return params


def _typed(text: str, allowed: Any, what: str) -> Any:
    """Return a value of one of the types that a parameter may have."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    options = typing.get_args(allowed) if typing.get_origin(allowed) in UNIONS else (allowed,)
    for option in options:
        for candidate in (value, text):
            fits, converted = _fit(candidate, option)
            if fits:
                return converted
    raise InputError(f"{what:.200} is not {' or '.join(_describe(option) for option in options)}")


def _fit(value: Any, option: Any) -> tuple[bool, Any]:
    """Return whether a value is of a type, and the value as that type."""
    origin, inside = typing.get_origin(option) or option, typing.get_args(option)
    if origin is typing.Literal:
        return value in inside, value
    if option is float:
        return type(value) in (int, float) and math.isfinite(value), value if isinstance(value, str) else float(value)
    if origin in (tuple, list):
        if not isinstance(value, tuple | list):
            return False, value
        kinds = [inside[0] if inside else Any] * len(value)
        fitted = [_fit(one, kind) for one, kind in zip(value, kinds, strict=True)]
        return all(fits for fits, _ in fitted), origin(one for _, one in fitted)
    return option is Any or type(value) is option or (option is type(None) and value is None), value


def _describe(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(option)))
    names = {
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
        str: "a text",
        type(None): "None",
        tuple: "a tuple",
        list: "a list",
    }
    return names.get(typing.get_origin(option) or option, str(option))


def parse_integers(text: str | Sequence[int], option: str, low: int, high: int) -> list[int]:
    """Return distinct integers of a comma-separated list.

    Raises
    ------
    InputError
        The list is empty, or an entry is not an integer from ``low`` to ``high``.
    """
    entries = text.split(",") if isinstance(text, str) else list(text)
    values = []
    for entry in entries:
        try:
            value = int(entry) if isinstance(entry, str) else operator.index(entry)
        except (TypeError, ValueError):
            value = low - 1
        if not low <= value <= high:
            raise InputError(f"{option} {str(entry).strip() or '(empty)'}: expected whole numbers from {low} to {high}")
        values.append(value)
    if not values:
        raise InputError(f"{option} is empty: give at least one whole number from {low} to {high}")
    return list(dict.fromkeys(values))
