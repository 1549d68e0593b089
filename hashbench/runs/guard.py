"""Runs a plugin's code inside a run: what it prints stays out of the tables, what it raises becomes a reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from hashbench.errors import InputError, PluginExit, plugin_code
from hashbench.files.paths import printable

MOST_CHARACTERS = 2000
"""Of an error's text; a plugin may raise one of megabytes."""


@contextmanager
def running_plugin() -> Iterator[None]:
    """Run a plugin's code: it prints to standard error, and cannot end the program; see `plugin_code`.

    Raises
    ------
    PluginExit
        The code tried to end the program.
    """
    with redirect_stdout(sys.stderr), plugin_code():
        yield


def failure_of(error: BaseException) -> str:
    """Return an error in one line: its class and its text, cut where it is long, odd characters escaped."""
    if isinstance(error, PluginExit) and error.__cause__ is not None:
        error = error.__cause__
    try:
        text = " ".join(str(error)[: 2 * MOST_CHARACTERS].split()) or "no message"
    except Exception as broken:
        text = f"its message cannot be read ({type(broken).__name__})"
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return printable(kind + text, MOST_CHARACTERS)
