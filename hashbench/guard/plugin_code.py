"""The one guard around plugins' code: it ends neither the program nor its tables, and its errors become reasons."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import ClassVar, Protocol, TypeVar

from hashbench.errors import InputError, PluginExit, describe_error, shorten
from hashbench.files.paths import printable
from hashbench.guard.state import kept_state

MOST_CHARACTERS = 2000
"""Maximum length of an error's text; a plugin may raise one of megabytes."""

LONGEST = 300
"""Characters of an error that a message about a data set repeats."""
Returned = TypeVar("Returned")


class DataSet(Protocol):
    """What is asked of a data set's plugin here: its name."""

    name: ClassVar[str]


@contextmanager
def plugin_code() -> Iterator[None]:
    """Run a plugin's code, so that nothing which it does ends the program or what comes after it.

    What it prints goes to standard error. Where it forks, the child ends here: the program goes on once.

    Ordinary exceptions pass unchanged. A KeyboardInterrupt passes too if SIGINT arrived meanwhile: then it was the
    user's Ctrl-C. Off the main thread no signal arrives, and where something other than Python handles SIGINT there
    is nothing to watch; a KeyboardInterrupt is the plugin's own then.

    Raises
    ------
    PluginExit
        The code raised SystemExit, GeneratorExit, its own KeyboardInterrupt, or another exception that is not an
        `Exception`.
    """
    process = os.getpid()
    with _watched_interrupts() as arrived, redirect_stdout(sys.stderr):
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and arrived:
                raise
            raise PluginExit(describe_error(error)) from error
        finally:
            if os.getpid() != process:
                os._exit(0)


@contextmanager
def _watched_interrupts() -> Iterator[list[int]]:
    """Yield a list that is empty until SIGINT arrives, which is then handled as before."""
    arrived: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield arrived
        return

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield arrived
    finally:
        signal.signal(signal.SIGINT, before)


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


@contextmanager
def asking(plugin: DataSet, what: str, passed_on: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Run a data set's code as `plugin_code` does; what it raises becomes one line, and the process stays as it was.

    Parameters
    ----------
    plugin : HashDataset
    what : str
        What it is asked for, such as ``read``.
    passed_on : tuple of exception types
        What somebody else answers for.

    Raises
    ------
    InputError
        The plugin raises an error. Its own InputError passes unchanged; any other is named with its type.
    KeyboardInterrupt
        The user pressed Ctrl-C meanwhile.
    """
    try:
        with kept_state(), plugin_code():
            yield
    except Exception as error:
        if isinstance(error, (InputError, *passed_on)):
            raise
        reason = shorten(failure_of(error), LONGEST)
        raise InputError(f"data set {plugin.name} ({_file(plugin)}): {what} failed: {reason}") from error


def returned(plugin: DataSet, what: str, value: object, kind: type[Returned]) -> Returned:
    """Return what a data set's method returned, if it is what it has to be.

    Raises
    ------
    InputError
        ``value`` is not a ``kind``.
    """
    if not isinstance(value, kind):
        raise InputError(
            f"data set {plugin.name} ({_file(plugin)}): {what} returned {type(value).__name__}, expected "
            f"{kind.__name__}"
        )
    return value


def _file(plugin: DataSet) -> str:
    try:
        return inspect.getfile(type(plugin))
    except (OSError, TypeError):
        return type(plugin).__module__
