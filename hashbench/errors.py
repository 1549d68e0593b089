"""Errors that a user can fix, and what a plugin's code may raise."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 60
"""Characters of a name that a message repeats."""
SHOWN_OF_ERROR = 500
"""Characters of another error's message that a message repeats."""


class InputError(Exception):
    """What the user gave cannot be used: one line that says what, where, and what to do about it.

    The command line prints the line and leaves with exit code 2.
    """


class Unsupported(ValueError):
    """A method cannot do what is requested of it (more bits than dimensions, say).

    Raised by ``fit``; in a run the cell is recorded as ``skipped`` with this reason and the rest goes on.
    """


class ContractError(ValueError):
    """A method breaks its contract: ``project`` returns unusable values, or ``fit`` changes a parameter.

    The message names the method, what was expected and what came. In a run the cell is recorded as ``failed``.
    """


class PluginExit(Exception):
    """A plugin's code raised what would end the program: SystemExit, GeneratorExit or KeyboardInterrupt.

    The exception that it raised is the ``__cause__``.
    """


def describe_error(error: BaseException) -> str:
    """Return an exception's type and the first line of its message, of a `PluginExit` those of its cause."""
    if isinstance(error, PluginExit) and error.__cause__ is not None:
        error = error.__cause__
    message = shorten(str(error).strip().partition("\n")[0], SHOWN_OF_ERROR)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def shorten(text: str, limit: int = SHOWN) -> str:
    """Return a text for a message, cut where it is longer than ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` with the known name that is nearest in any case, or an empty text."""
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else ""
