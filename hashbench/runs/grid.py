"""Reads what the user writes: method specifications such as ``cibhash[beta=0.001,epochs=20],itq``."""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hashbench.errors import InputError

MAX_BITS = 1024
RESERVED = ("n_bits", "random_state")


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
        Such as ``"cibhash[beta=0|0.001,epochs=20],itq"``.

    Returns
    -------
    list of MethodSpec
        One per combination of values, in the order written; repeated ones once.

    Raises
    ------
    InputError
        The text is not of that form.
    """
    specs: list[MethodSpec] = []
    for item in _split_outside_brackets(text):
        name, bracket, inside = item.partition("[")
        if not name or (bracket and not inside.endswith("]")):
            raise InputError(f"--methods: cannot read {item!r}; write name or name[parameter=value,...]")
        choices = []
        for assignment in filter(None, inside.removesuffix("]").split(",")):
            key, equals, value = assignment.partition("=")
            if not equals or not key.strip() or not value.strip():
                raise InputError(f"--methods: cannot read {assignment!r} in {item!r}; write parameter=value")
            choices.append([(key.strip(), one.strip()) for one in value.split("|")])
        specs += [MethodSpec(name.strip(), values) for values in itertools.product(*choices)]
    if not specs:
        raise InputError("--methods is empty: name at least one, see hashbench list")
    return list(dict.fromkeys(specs))


def _split_outside_brackets(text: str) -> list[str]:
    items, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth < 0 or depth > 1:
            raise InputError(f"--methods: brackets do not match in {text!r}")
        if letter == "," and depth == 0:
            items.append(text[start:place].strip())
            start = place + 1
    if depth:
        raise InputError(f"--methods: a bracket is not closed in {text!r}")
    return [item for item in [*items, text[start:].strip()] if item]


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
            near = difflib.get_close_matches(key, declared, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(declared) or 'none'}"
            raise InputError(f"{spec.name} has no parameter {key!r}; {hint}")
        if key in params:
            raise InputError(f"{spec.label}: {key} is given twice")
        default = declared[key].default
        allowed = hints.get(key, Any if default is None or default is inspect.Parameter.empty else type(default))
        params[key] = _typed(text, allowed, f"{spec.name}: {key}={text}")
    return params


def _typed(text: str, allowed: Any, what: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    is_union = typing.get_origin(allowed) in (types.UnionType, typing.Union)
    options = typing.get_args(allowed) if is_union else (allowed,)
    for option in options:
        if typing.get_origin(option) is typing.Literal:
            if value in typing.get_args(option):
                return value
        elif option is float and type(value) in (int, float):
            return float(value)
        elif option is Any or type(value) is option or (option is type(None) and value is None):
            return value
    raise InputError(f"{what} is not {' or '.join(_describe(option) for option in options)}")


def _describe(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(option)))
    names = {
        int: "a whole number",
        float: "a number",
        bool: "True or False",
        str: "a text",
        type(None): "None",
    }
    return names.get(option, str(option))


def parse_integers(text: str | Sequence[int], option: str, low: int, high: int) -> list[int]:
    """Return distinct integers of a comma-separated list.

    Raises
    ------
    InputError
        An entry is not an integer from ``low`` to ``high``, or there is none.
    """
    entries = text.split(",") if isinstance(text, str) else list(text)
    values = []
    for entry in entries:
        try:
            value = int(entry)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise InputError(f"{option} {str(entry).strip() or '(empty)'}: expected whole numbers from {low} to {high}")
        values.append(value)
    if not values:
        raise InputError(f"{option} is empty: give at least one whole number from {low} to {high}")
    return list(dict.fromkeys(values))
