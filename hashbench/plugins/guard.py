"""Runs a plugin's code: what it prints does not land among tables, and no way of ending it ends the program."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType

from hashbench.errors import InputError

MOST_CHARACTERS = 2000
"""Of an error's text; a plugin may raise one of megabytes."""


class PluginFailure(Exception):
    """A plugin tried to end the program: ``sys.exit``, or an exception that only Python itself should raise."""


@contextmanager
def plugin_code() -> Iterator[None]:
    """Run a plugin's code.

    What it prints goes to standard error. `SystemExit`, `GeneratorExit` and a `KeyboardInterrupt` that no Ctrl-C has
    caused become `PluginFailure`; other errors pass.

    Raises
    ------
    PluginFailure
        The code tried to end the program.
    """
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    can_watch = threading.current_thread() is threading.main_thread()
    can_watch = can_watch and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if can_watch:
        signal.signal(signal.SIGINT, note)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (SystemExit, GeneratorExit) as error:
        raise PluginFailure(failure_of(error)) from error
    except KeyboardInterrupt as error:
        if pressed or not can_watch:
            raise
        raise PluginFailure(failure_of(error)) from error
    finally:
        if can_watch:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def failure_of(error: BaseException) -> str:
    """Return an error in one line: its class and its text, cut where it is long, odd characters escaped."""
    kind = "" if isinstance(error, PluginFailure | InputError) else f"{type(error).__name__}: "
    try:
        text = " ".join(str(error).split()) or "no message"
    except Exception as broken:
        text = f"its message cannot be read ({type(broken).__name__})"
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
    return kind + text.encode("utf-8", "backslashreplace").decode()
