"""Prints how far a run has got: ``hashbench status``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from hashbench.reports.console import new_table, print_note
from hashbench.runs.status import STATES, CellStatus


def print_status(cells: Sequence[CellStatus], console: Console) -> None:
    """Print how many cells are in each state, in all and by data set, and which are running or have failed.

    Parameters
    ----------
    cells : sequence of CellStatus
    console : rich.console.Console
    """
    counts = Counter(one.state for one in cells)
    print_note(", ".join(f"{counts[state]} {state}" for state in STATES) + f" of {len(cells)} cells", console)
    by_setting: dict[tuple[str, str], Counter[str]] = {}
    for one in cells:
        by_setting.setdefault((one.cell.protocol, one.cell.backbone), Counter())[one.state] += 1
    table = new_table(console)
    for column in ("data", "backbone"):
        table.add_column(column, overflow="fold")
    for state in STATES:
        table.add_column(state, justify="right")
    for (protocol, backbone), of in by_setting.items():
        table.add_row(escape(protocol), escape(backbone), *(str(of[state]) for state in STATES))
    console.print(table)
    for one in cells:
        if one.state in ("running", "failed"):
            why = f": {one.error}" if one.error else ""
            print_note(f"{one.state}: {one.cell.title}, {one.cell.protocol}{why}", console)
