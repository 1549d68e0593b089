"""Records as tables: one row per cell for files, methods against bits for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hashbench.data.dataset import HELD_OUT
from hashbench.evaluation.statistics import compare_columns
from hashbench.reports.console import new_table, print_note, print_title
from hashbench.runs.records import Record, Store
from hashbench.runs.results import TIMINGS

DRAWS = 2000
"""Bootstrap draws behind a table's marks: quick, and fine enough for a test at 5%."""
MARK = "*"
SAW_QUERIES = "†"


def print_tables(
    records: Sequence[Record], console: Console, metrics: Sequence[str], store: Store | None = None
) -> None:
    """Print metrics and timings, methods against bits.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    console : rich.console.Console
    metrics : sequence of str
        Which metrics get a table of their own.
    store : Store, optional
        Where the records' arrays are: values that are not separable from the best of their column get a mark.
    """
    first = _of_main_protocol(records)
    origin = "" if first.provenance == "official" else f", {first.provenance}"
    title = f"{first.config['dataset']} ({first.config['protocol']}{origin}), features: {first.backbone}"
    close = _not_separable(records, metrics, store) if store else set()
    for metric in metrics:

        def cell(done: list[Record], metric: str = metric) -> str:
            mark = MARK if (metric, done[0].label, done[0].config["n_bits"]) in close else " " * bool(close)
            return _mean_std([record.metrics[metric] for record in done]) + mark

        print_title(f"{metric}: {title}", console)
        console.print(_grid(records, cell, console))
    if close:
        print_note(_footnote(records), console)
    held_out = {record.config["protocol"] for record in records if _saw_queries(record)}
    if held_out:
        print_note(f"{SAW_QUERIES} chosen by labelled queries, scored on the others: {held_out.pop()}", console)
    print_title("timings (median over seeds; features and views are computed once and shared)", console)
    console.print(_timings(records, console))
    for record in records:
        if record.status != "ok":
            print_note(f"{_cell_name(record)}: {record.status}: {record.error}", console)


def print_models(records: Sequence[Record], store: Store, console: Console) -> None:
    """Print where the trained method of each finished record lies."""
    print_title("models", console)
    for record in records:
        if record.status == "ok":
            path = store.model_path(record.id)
            where = path if path.is_file() else "not saved; the run's log says why"
            print_note(f"{_cell_name(record)}: {where}", console)


def _cell_name(record: Record) -> str:
    seed = "" if record.config["seed"] is None else f" seed {record.config['seed']}"
    return f"{record.label} {record.config['n_bits']} bits{seed}"


def _not_separable(records: Sequence[Record], metrics: Sequence[str], store: Store) -> set[tuple[str, str, int]]:
    """Return (metric, method, n_bits) of the values that are not separable from the best of their column."""
    columns: dict[tuple[str, int], dict[str, list[np.ndarray]]] = {}
    protocol = _of_main_protocol(records).config["protocol"]
    for record in records:
        if record.status == "ok" and record.config["protocol"] == protocol:
            arrays = store.arrays(record.id)
            for metric in metrics:
                column = columns.setdefault((metric, record.config["n_bits"]), {})
                column.setdefault(record.label, []).append(arrays[f"per_query:{metric}"])
    contested = {key: column for key, column in columns.items() if len(column) > 1}
    if not contested:
        return set()
    values = [{name: _seeds(seeds) for name, seeds in column.items()} for column in contested.values()]
    return {
        (metric, name, n_bits)
        for (metric, n_bits), compared in zip(contested, compare_columns(values), strict=True)
        for name, found in compared.items()
        if not (found.best or found.separable)
    }


def _saw_queries(record: Record) -> bool:
    return record.config["protocol"].endswith(HELD_OUT)


def _of_main_protocol(records: Sequence[Record]) -> Record:
    """Return a record that is scored on all queries, if there is one."""
    return min(records, key=_saw_queries)


def _footnote(records: Sequence[Record]) -> str:
    seeds = {record.config["seed"] for record in records if record.config["seed"] is not None}
    over = ("queries", "the queries of one seed", f"queries and {len(seeds)} seeds")[min(len(seeds), 2)]
    return f"{MARK} not separable from the best of its column (bootstrap over {over}; Holm's correction, 5%)"


def _by_method(records: Sequence[Record]) -> dict[str, dict[int, list[Record]]]:
    grouped: dict[str, dict[int, list[Record]]] = {}
    for record in records:
        grouped.setdefault(record.label, {}).setdefault(record.config["n_bits"], []).append(record)
    return grouped


def _grid(records: Sequence[Record], cell: Callable[[list[Record]], str], console: Console) -> Table:
    bits = sorted({record.config["n_bits"] for record in records})
    table = new_table(console)
    table.add_column("method")
    for n_bits in bits:
        table.add_column(f"{n_bits} bits", justify="right")
    for label, by_bits in _by_method(records).items():
        cells = []
        for n_bits in bits:
            group = by_bits.get(n_bits, [])
            done = [record for record in group if record.status == "ok"]
            cells.append(cell(done) if done else (group[0].status if group else ""))
        mark = f" {SAW_QUERIES}" if any(_saw_queries(group[0]) for group in by_bits.values()) else ""
        table.add_row(escape(label) + mark, *cells)
    return table


def _mean_std(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.4f}"


def _timings(records: Sequence[Record], console: Console) -> Table:
    table = new_table(console)
    table.add_column("method")
    table.add_column("bits", justify="right")
    shown = [name for name in TIMINGS if any(name in record.timings for record in records)]
    for name in shown:
        table.add_column(name, justify="right")
    for label, by_bits in _by_method(records).items():
        for n_bits, group in sorted(by_bits.items()):
            values = [[record.timings[name] for record in group if name in record.timings] for name in shown]
            if any(values):
                cells = [_quantity(float(np.median(value))) if value else "" for value in values]
                table.add_row(escape(label), str(n_bits), *cells)
    return table


def _quantity(value: float) -> str:
    """Format a number to three significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
