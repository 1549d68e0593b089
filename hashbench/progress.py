"""Progress for people: a bar with rate and time left on a terminal, a line now and then elsewhere.

A process that works for another sends its lines and counts there instead, see `send_to`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

FIRST_LINE_S, LINE_EVERY_S = 2.0, 20.0
SEND_EVERY_S = 0.1
Send = Callable[[str, Any], None]


class Counter(Protocol):
    """What `progress` gives."""

    def advance(self, n: int) -> None:
        """Count n more items as done."""


_send: Send | None = None
_said: set[str] = set()
"""The lines of `to_stderr_once` in this process."""


def send_to(send: Send) -> None:
    """Let all that would be shown be sent instead, for a `Watch` of the process that receives it.

    That is ``send("line", text)``, ``send("once", text)``, ``send("doing", (text, logged))`` or
    ``send("progress", (what, done, total))``.
    """
    global _send
    _send = send


def to_stderr(line: str) -> None:
    """Print a line for people on standard error, at once."""
    if _send is not None:
        _send("line", line)
        return
    print(line, file=sys.stderr, flush=True)


def to_stderr_once(line: str) -> None:
    """Print a line for people on standard error, unless this process or the run that it works for has printed it."""
    if line in _said:
        return
    _said.add(line)
    if _send is not None:
        _send("once", line)
        return
    to_stderr(line)


def doing(text: str, logged: bool = False) -> None:
    """Say what is being done now: for a live display; other logs get a line of it only where it is ``logged``."""
    if _send is not None:
        _send("doing", (text, logged))
    elif logged:
        to_stderr(text)


class Pace:
    """How fast a job goes, by the items that are done since this began.

    Parameters
    ----------
    done : int
        Items that were done before, and so say nothing about the rate.
    """

    def __init__(self, done: int) -> None:
        self.found, self.started = done, time.monotonic()

    def per_second(self, done: int) -> float:
        """Return the rate so far, in items per second; 0 where nothing is done yet."""
        return (done - self.found) / max(time.monotonic() - self.started, 1e-9)

    def words(self, done: int, total: int) -> str:
        """Return rate and time left, such as ``120/s, 45 s left``; nothing while there is no rate."""
        rate = self.per_second(done)
        return f"{_rate(rate)}, {(total - done) / rate:,.0f} s left" if rate else ""


class Lines:
    """Plain progress lines for logs and pipes: one soon, then one now and then."""

    def __init__(self, description: str, total: int, found: int) -> None:
        self.description, self.total, self.done = description, total, found
        self.pace = Pace(found)
        self.next = self.pace.started + FIRST_LINE_S

    def advance(self, n: int) -> None:
        """Count n more items and print a line if it is time."""
        self.done += n
        now = time.monotonic()
        if now >= self.next and self.pace.found < self.done < self.total:
            how_fast = self.pace.words(self.done, self.total)
            print(f"{self.description}: {self.done}/{self.total}, {how_fast}", file=sys.stderr, flush=True)
            self.next = now + LINE_EVERY_S


class _Sent:
    """Counts that go to another process, not too often."""

    def __init__(self, send: Send, description: str, total: int, found: int) -> None:
        self.send, self.description, self.total, self.done, self.last = send, description, total, found, 0.0
        send("progress", (description, found, total))  # the first count is what was found

    def advance(self, n: int) -> None:
        """Count n more items."""
        self.done += n
        now = time.monotonic()
        if now - self.last >= SEND_EVERY_S or self.done >= self.total:
            self.send("progress", (self.description, self.done, self.total))
            self.last = now


class Shown:
    """Shows what another process counts, a bar or lines for one job at a time."""

    def __init__(self) -> None:
        self._context: AbstractContextManager[Counter] | None = None
        self._counter: Counter | None = None
        self._now: tuple[str, int, int] = ("", 0, 0)

    def show(self, description: str, done: int, total: int) -> None:
        """Show how far a job is; when all of it is done, or another begins, its bar goes."""
        if description != self._now[0]:
            self.end()
            self._context = progress(description, total, done)
            self._counter = self._context.__enter__()
            self._now = (description, done, total)
        assert self._counter is not None
        self._counter.advance(done - self._now[1])
        self._now = (description, done, total)
        if done >= total:
            self.end()

    def end(self) -> None:
        """Take the bar away."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._context, self._now = None, ("", 0, 0)


class Watch:
    """Shows people how a grid of cells gets on: here by lines that stay, as logs need them.

    Several threads may have a cell each.

    Parameters
    ----------
    log : callable
        Receives the lines.
    """

    def __init__(self, log: Callable[[str], object] = to_stderr) -> None:
        self._log, self._of_thread = log, threading.local()
        self._once: set[str] = set()

    def __call__(self, line: str) -> None:
        """Show a line that stays."""
        self.clear()
        self._log(line)

    def once(self, line: str) -> None:
        """Show a line that stays, unless it was shown before: several workers may find out the same."""
        if line not in self._once:
            self._once.add(line)
            self(line)

    def doing(self, text: str, logged: bool) -> None:
        """Show what this thread's cell is at, see `doing`."""
        if logged:
            self(text)

    def count(self, description: str, done: int, total: int) -> None:
        """Show how far a job of this thread's cell is."""
        if not hasattr(self._of_thread, "shown"):
            self._of_thread.shown = Shown()
        self._of_thread.shown.show(description, done, total)

    def clear(self) -> None:
        """Take away what shows only for a while."""
        if hasattr(self._of_thread, "shown"):
            self._of_thread.shown.end()

    def planned(self, n_cells: int) -> None:
        """Note how many cells there are."""

    def settled(self, line: str, failed: bool) -> None:
        """Show a cell that is not computed: it has ended before."""
        self(line)

    def started(self, title: str) -> None:
        """Show that this thread begins a cell."""
        self(title)

    def ended(self, title: str, how: str, failed: bool) -> None:
        """Show how this thread's cell has ended."""
        self(f"{title}: {how}")


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"


@contextmanager
def progress(description: str, total: int, found: int = 0) -> Iterator[Counter]:
    """Show how far a long job is, how fast it goes and how long it will take, on standard error.

    Parameters
    ----------
    description : str
    total : int
        Number of items in all.
    found : int
        How many of them were done before: they count as done, but not for the rate.

    Yields
    ------
    Counter
        Its ``advance(n)`` counts n items as done.
    """
    if _send is not None:
        yield _Sent(_send, description, total, found)
    elif not sys.stderr.isatty():
        yield Lines(description, total, found)
    else:
        with _bar(description, total, found) as counter:
            yield counter


@contextmanager
def _bar(description: str, total: int, found: int) -> Iterator[Counter]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items per second."""

        def render(self, task: Task) -> Text:
            """Show the rate, once it is known."""
            return Text(_rate(task.speed) if task.speed else "")

    class Bar:
        def advance(self, n: int) -> None:
            """Count n more items."""
            bar.advance(task, n)

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, completed=found)
        yield Bar()
