"""Tables and lines of text for people, on a terminal or in a pipe."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 200


def print_title(text: str, console: Console) -> None:
    """Print a title as a line of its own: a table's title is wrapped to the table's width."""
    console.print(text, style="bold", markup=False, highlight=False, soft_wrap=True)


def print_note(text: str, console: Console) -> None:
    """Print a line of text as it is, unwrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def new_table(console: Console) -> Table:
    """Return an empty table, ruled only on a terminal."""
    return Table(box=box.SIMPLE_HEAD if console.is_terminal else None)


def open_console() -> Console:
    """Return a console that prints plain, unwrapped text where the output is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH, color_system=None)
