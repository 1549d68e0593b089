"""Prints nearest neighbours for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from hashbench.files.paths import printable
from hashbench.models.encode import Encoded
from hashbench.models.saved import SavedModel
from hashbench.models.search import neighbours
from hashbench.reports.console import new_table, print_note, print_title

SHOWN_QUERIES = 20
MAX_NAME = 1000
"""Characters of an image's name that are shown."""


def print_neighbours(model: SavedModel, query: Encoded, database: Encoded, k: int, console: Console) -> None:
    """Print a row per query and neighbour, for the first queries."""
    k, n_queries = min(k, len(database.codes)), len(query.codes)
    print_title(
        f"{k} nearest of {len(database.codes):,} by Hamming distance ({model.label}, {model.n_bits} bits)", console
    )
    table = new_table(console)
    table.add_column("query", justify="left" if query.names else "right", overflow="fold")
    for column in ("rank", "distance", "row"):
        table.add_column(column, justify="right")
    if database.names:
        table.add_column("image", overflow="fold")
    for row, items, distances in neighbours(query.codes[:SHOWN_QUERIES], database.codes, model.n_bits, k):
        asked = escape(printable(query.names[row], MAX_NAME)) if query.names else str(row)
        for rank, (item, distance) in enumerate(zip(items, distances, strict=True), 1):
            named = [escape(printable(database.names[item], MAX_NAME))] if database.names else []
            table.add_row(asked, str(rank), str(distance), str(item), *named)
    console.print(table)
    if n_queries > SHOWN_QUERIES:
        print_note(f"the first {SHOWN_QUERIES} of {n_queries:,} queries; --csv FILE writes all", console)
