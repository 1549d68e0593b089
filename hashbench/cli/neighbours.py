"""Prints nearest neighbours for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from hashbench.files.paths import printable
from hashbench.models.search import Search
from hashbench.reports.console import new_table, print_note, print_title

SHOWN_QUERIES = 20
MAX_NAME = 1000
"""Characters of an image's name that are shown."""


def print_neighbours(search: Search, k: int, console: Console) -> None:
    """Print a row per query and neighbour, for the first queries."""
    print_title(f"{min(k, search.n_items)} nearest of {search.n_items:,} by {search.words}", console)
    table = new_table(console)
    table.add_column("query", justify="left" if search.query_names else "right", overflow="fold")
    for column in ("rank", "distance", "row"):
        table.add_column(column, justify="right")
    if search.item_names:
        table.add_column("image", overflow="fold")
    for row, items, distances in search.neighbours(k, SHOWN_QUERIES):
        query_name = escape(printable(search.query_names[row], MAX_NAME)) if search.query_names else str(row)
        for rank, (item, distance) in enumerate(zip(items, distances, strict=True), 1):
            named = [escape(printable(search.item_names[item], MAX_NAME))] if search.item_names else []
            table.add_row(query_name, str(rank), f"{distance:.6g}", str(item), *named)
    console.print(table)
    if search.n_queries > SHOWN_QUERIES:
        print_note(f"the first {SHOWN_QUERIES} of {search.n_queries:,} queries; --csv FILE writes all", console)
