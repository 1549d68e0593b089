"""Quantizers in tables: recall for bytes, which an engineer chooses by, and the ceiling of codes of bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np
from rich.console import Console
from rich.markup import escape

from hashbench.records.record import Record
from hashbench.reports.console import new_table, print_note, print_title
from hashbench.reports.pareto import pareto_front
from hashbench.results.rows import Row, rows_of
from hashbench.results.setting import Named

TIMES = (1, 2, 4, 10)
"""How many candidates are ranked again by their vectors, as multiples of k."""
TIMED = {"fit_s": ".1f", "encode_items_per_s": ",.0f", "top100_queries_per_s": ",.0f"}
"""Timings that have a column, and how they are written."""


def recall(row: Row, k: int, times: int) -> float:
    """Return recall@k after k × times candidates were ranked again, its mean over seeds; NaN if unknown."""
    score = row.scores.get(f"recall@{k}" if times == 1 else f"recall{k}@{k * times}")
    return math.nan if score is None else score.mean


def rows_of_bytes(records: Iterable[Record]) -> list[Row]:
    """Return the rows of records that ended well, fewest bytes first, equal ones by recall@10."""

    def place(row: Row) -> tuple[int, float, str]:
        at_10 = recall(row, 10, 1)
        return row.n_bytes, math.inf if math.isnan(at_10) else -at_10, row.label

    return sorted(rows_of(record for record in records if record.status == "ok"), key=place)


def front(rows: Iterable[Row], times: int) -> list[Row]:
    """Return the rows that no other beats, fewest bytes first: as few bytes and more recall@10, or fewer and as much.

    Parameters
    ----------
    rows : iterable of Row
    times : int
        Of the rescoring, 1 for none.
    """
    known = [row for row in sorted(rows, key=lambda row: row.n_bytes) if not math.isnan(recall(row, 10, times))]
    kept = pareto_front([row.n_bytes for row in known], [recall(row, 10, times) for row in known])
    return list(compress(known, kept))


def print_by_bytes(records: Sequence[Record], name: Named, console: Console) -> None:
    """Print the table of one data set, a row per method and size.

    Parameters
    ----------
    records : sequence of Record
        Of one setting with recall for bytes.
    name : Named
        The setting in words.
    console : rich.console.Console
    """
    rows = rows_of_bytes(records)
    if not rows:
        return
    print_title(f"recall for bytes: {name.dataset} ({name.protocol}), {name.backbone}", console)
    plain, rescored = front(rows, 1), front(rows, 4)
    table = new_table(console)
    table.add_column("method", overflow="fold")
    headings = ["bytes", "", *(f"@{k}{f'×{times}' if times > 1 else ''}" for k in (10, 100) for times in TIMES)]
    for heading in (*headings, "fit s", "encode/s", "q/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        marks = ("*" if row in plain else " ") + ("+" if row in rescored else " ")
        scores = [_number(recall(row, k, times), ".3f").replace("0.", ".") for k in (10, 100) for times in TIMES]
        timings = [_number(row.timings.get(name), form) for name, form in TIMED.items()]
        table.add_row(escape(row.label), str(row.n_bytes), marks, *scores, *timings)
    console.print(table)
    rates = [rate for row in rows if (rate := row.timings.get("rescored_candidates_per_s"))]
    again = f"; ranking again: {1e6 / np.median(rates):.2f} µs a candidate, float32 in memory" if rates else ""
    print_note(
        "@10, @100: recall of the true 10 and 100 neighbours; ×m: after k × m candidates were ranked again", console
    )
    print_note(
        "* nothing has as few bytes and more recall@10; + the same after ×4; bytes with every stored number", console
    )
    print_note(f"q/s: top 100 of all, one core{again}", console)


def print_uncoded(rows: Sequence[Row], metrics: Sequence[str], title: str, console: Console) -> None:
    """Print what vectors score without codes of bits, a row per quantizer and size, most bytes first.

    Parameters
    ----------
    rows : sequence of Row
        Of one setting that is scored by labels.
    metrics : sequence of str
        Which metrics get a column.
    title : str
        The setting in words.
    console : rich.console.Console
    """
    print_title(f"no methods, but their ceiling: the features themselves, by their own distances: {title}", console)
    table = new_table(console)
    table.add_column("quantizer", overflow="fold")
    for heading in ("bytes", *metrics):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (-row.n_bytes, row.label)):
        scores = ["".join(row.scores[name].text()) if name in row.scores else "" for name in metrics]
        table.add_row(escape(row.label), str(row.n_bytes), *scores)
    console.print(table)


def _number(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else f"{value:{form}}"
