"""How a run gets on, live on a terminal: what is done, what each worker is at, time left; failures stay above."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hashbench.progress import Pace, Watch
from hashbench.reports.estimate import in_words

MOST_ROWS = 8
"""Cells in flight that have a row; the rest are counted."""
PER_S = 4
BAR_WIDTH = 30


@dataclass
class Cell:
    """A cell in flight, and what it is at."""

    title: str
    started: float
    text: str = ""
    job: str = ""
    pace: Pace | None = None


class LiveWatch(Watch):
    """A live display of a run, from entering its context to leaving it.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        super().__init__(self._print)
        self._console, self._lock = console, threading.RLock()
        self._cells: dict[int, Cell] = {}
        self._n_cells: int | None = None
        self._n_known = self._n_computed = self._n_failed = 0
        self._started = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=PER_S, transient=True, redirect_stdout=False
        )

    def __enter__(self) -> LiveWatch:
        self._live.start()
        self._console.show_cursor(True)  # however the process ends, the terminal has its cursor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def doing(self, text: str, logged: bool) -> None:
        """Show what this thread's cell is at."""
        with self._lock:
            self._cells.setdefault(threading.get_ident(), Cell("", time.monotonic())).text = text.strip()

    def count(self, description: str, done: int, total: int) -> None:
        """Show how far a job of this thread's cell is, how fast it goes and how long it will take."""
        if done >= total:
            self.clear()
            return
        with self._lock:
            cell = self._cells.setdefault(threading.get_ident(), Cell("", time.monotonic()))
            if cell.pace is None or cell.job != description:
                cell.job, cell.pace = description, Pace(done)
            how_fast = cell.pace.words(done, total)
            cell.text = f"{description}: {done:,}/{total:,}" + (f", {how_fast}" if how_fast else "")

    def clear(self) -> None:
        """Take away what this thread was at."""
        with self._lock:
            cell = self._cells.get(threading.get_ident())
            if cell is not None and cell.title:
                cell.text = ""
            else:
                self._cells.pop(threading.get_ident(), None)

    def planned(self, n_cells: int) -> None:
        """Begin to count cells."""
        self._n_cells, self._started = n_cells, time.monotonic()

    def settled(self, line: str, failed: bool) -> None:
        """Count a cell that has ended before."""
        with self._lock:
            self._n_known += 1
            self._n_failed += failed

    def started(self, title: str) -> None:
        """Give this thread's cell a row."""
        with self._lock:
            self._cells[threading.get_ident()] = Cell(title, time.monotonic())

    def ended(self, title: str, how: str, failed: bool) -> None:
        """Count this thread's cell; a failure stays as a line."""
        with self._lock:
            self._cells.pop(threading.get_ident(), None)
            self._n_computed += 1
            self._n_failed += failed
        if failed:
            self(f"{title}: {how}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def render(self) -> RenderableType:
        """Return the display as it is now."""
        with self._lock:
            cells = list(self._cells.values())
            table = Table.grid(padding=(0, 2), expand=False)
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
            table.add_column(justify="right", no_wrap=True)
            for cell in cells[:MOST_ROWS]:
                table.add_row(Text(cell.title), Text(cell.text), f"{time.monotonic() - cell.started:.0f} s")
            more = [Text(f"and {len(cells) - MOST_ROWS} more")] if len(cells) > MOST_ROWS else []
            return Group(table, *more, self._summary())

    def _summary(self) -> RenderableType:
        if self._n_cells is None:
            return Text("planning")
        done = self._n_known + self._n_computed
        line = Table.grid(padding=(0, 2))
        texts = [f"{done} of {self._n_cells} cells", f"{self._n_failed} failed" if self._n_failed else "", self._left()]
        line.add_row(ProgressBar(self._n_cells, done, width=BAR_WIDTH), *filter(None, texts))
        return line

    def _left(self) -> str:
        """Return the time left, by the mean time of the cells that this run has computed."""
        assert self._n_cells is not None
        left = self._n_cells - self._n_known - self._n_computed
        if not self._n_computed or not left:
            return ""
        return f"about {in_words(left * (time.monotonic() - self._started) / self._n_computed)} left"
