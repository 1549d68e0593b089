"""Makes a command of a class of options: its fields are the command's options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from hashbench.options import default_of, flag_of, options_of


def takes(options: type, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator: ``command(options, ...)`` becomes a command with an option for each of the class's fields.

    The command's other parameters stay.

    Parameters
    ----------
    options : type
        A dataclass of `hashbench.options.option` fields.
    without : collection of str
        Fields that are no options of this command.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_fields(**given: Any) -> None:
            extra = {name: given.pop(name) for name in others}
            command(options_of(options, given), **extra)

        _, *rest = inspect.signature(command, eval_str=True).parameters.values()
        others = [one.name for one in rest]
        parameters = [*_parameters(options, without), *(one.replace(kind=one.KEYWORD_ONLY) for one in rest)]
        with_fields.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_fields.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_fields

    return decorate


def _parameters(options: type, without: Collection[str]) -> list[inspect.Parameter]:
    hints = get_type_hints(options)
    parameters = []
    declared_here = vars(options).get("__annotations__", {})
    shown_fields = [one for one in fields(options) if "help" in one.metadata and one.name not in without]
    for one in sorted(shown_fields, key=lambda one: one.name not in declared_here):
        default, shown = default_of(one), one.metadata["help"].replace("[", "\\[")
        kind = str | None if one.metadata["read"] else _on_the_command_line(hints[one.name], default)
        flags = [flag_of(one)] if kind is bool or one.metadata["flag"] else []
        flag_option = typer.Option(*flags, help=shown, show_default=default not in (None, ()))
        annotation: Any = Annotated[kind, flag_option]
        default = list(default) if isinstance(default, tuple) else default
        parameters.append(
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return parameters


def _on_the_command_line(hint: Any, default: Any) -> Any:
    """Return the type that typer reads: a text where Python also takes a sequence, a list where it repeats."""
    if get_origin(hint) is Sequence:
        return list[Path]
    return str if isinstance(default, str) else hint
