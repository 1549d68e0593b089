"""Options: a field says name, default, help text and limits once, for the command line and for Python alike."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields
from typing import Any, get_type_hints

from hashbench.errors import InputError


def option(
    default: Any, help: str, *, choices: Sequence[str] = (), minimum: float | None = None, flag: str | None = None
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
        Its name on the command line where that is not its own, such as ``"--plugin"``.
    """
    metadata = {"help": help, "choices": tuple(choices), "minimum": minimum, "flag": flag}
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def default_of(one: Field[Any]) -> Any:
    """Return the default of an option."""
    return one.default if one.default_factory is MISSING else one.default_factory()


def flag_of(one: Field[Any]) -> str:
    """Return the name of an option on the command line."""
    return one.metadata.get("flag") or f"--{one.name.replace('_', '-')}"


def check_options(options: Any) -> None:
    """Raise if an option has a value that it cannot have.

    Parameters
    ----------
    options : dataclass instance

    Raises
    ------
    InputError
        A value is none of the choices, or below the minimum.
    """
    for one in fields(options):
        value, choices, minimum = getattr(options, one.name), one.metadata.get("choices"), one.metadata.get("minimum")
        if choices and value is not None and value not in choices:
            raise InputError(f"{flag_of(one)} {value}: expected one of {', '.join(choices)}")
        if minimum is not None and value is not None and not value >= minimum:
            raise InputError(f"{flag_of(one)} {value}: expected at least {minimum:g}")


def signature_of(options: type) -> inspect.Signature:
    """Return the signature of a function that takes an options class's fields by keyword."""
    hints = get_type_hints(options)
    return inspect.Signature(
        [
            inspect.Parameter(
                one.name, inspect.Parameter.KEYWORD_ONLY, default=default_of(one), annotation=hints[one.name]
            )
            for one in fields(options)
        ]
    )
