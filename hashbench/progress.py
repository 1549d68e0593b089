"""Progress for people: a bar with rate and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

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

LINE_EVERY_S = 20.0


def to_stderr(line: str) -> None:
    """Print a line for people on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """Show the rate, once it is known."""
        return Text(_rate(task.speed) if task.speed else "")


class _Lines:
    """Plain progress lines for logs and pipes."""

    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0
        self.started = self.last = time.monotonic()

    def advance(self, n: int) -> None:
        """Count n more items and print a line if it is time."""
        self.done += n
        now = time.monotonic()
        if now - self.last >= LINE_EVERY_S and self.done < self.total:
            rate = self.done / (now - self.started)
            left = (self.total - self.done) / rate
            print(
                f"{self.description}: {self.done}/{self.total}, {_rate(rate)}, {left:,.0f} s left",
                file=sys.stderr,
            )
            self.last = now


class _Bar:
    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self.progress, self.task = progress, progress.add_task(description, total=total)

    def advance(self, n: int) -> None:
        """Count n more items."""
        self.progress.advance(self.task, n)


@contextmanager
def progress(description: str, total: int) -> Iterator[_Lines | _Bar]:
    """Show how far a long job is, on standard error.

    Parameters
    ----------
    description : str
    total : int
        Number of items in all.

    Yields
    ------
    object
        Its ``advance(n)`` counts n items as done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(description, total)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar, description, total)
