"""Records as tables for people: methods against code lengths, with marks, and timings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.markup import escape

from hashbench.data.protocol import NameParts
from hashbench.evaluation.metrics import headline
from hashbench.reports.by_bytes import print_by_bytes
from hashbench.reports.console import new_table, print_note, print_title
from hashbench.runs.records.record import Record
from hashbench.runs.records.results import TIMINGS
from hashbench.runs.records.store import Store
from hashbench.runs.records.verdicts import Verdicts, group_of, verdicts

NOT_SEPARABLE, UNMARKED = "*", " "
SAW_QUERIES = "†"
GAP = 3
"""Characters between two columns of a table, at most."""
Cell = Callable[[list[Record]], str]


def print_tables(
    records: Sequence[Record], console: Console, store: Store | None = None, metrics: Sequence[str] = ()
) -> None:
    """Print metrics and timings, methods against bits; one group of tables for each data set, protocol and backbone.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    console : rich.console.Console
    store : Store, optional
        Where the records' arrays are: values that are not separable from the best of their column get a mark.
    metrics : sequence of str, optional
        Which metrics get a table of their own; the headline ones by default.
    """
    compared = verdicts(records, store) if store else {}
    for group in by_setting(records):
        if group[0].is_by_bytes:
            print_by_bytes(group, console)
            continue
        scored = [record for record in group if record.status == "ok"]
        for metric in metrics or (headline(scored[0].metrics) if scored else ()):
            print_title(f"{metric}: {_title(group, bool(store))}", console)
            _print_grid(group, _score_cell(metric, compared), console)
        _print_notes(group, compared, console)
        print_title("timings (median over seeds; features and views are computed once and shared)", console)
        _print_timings(group, console)
    for record in records:
        if record.status != "ok":
            print_note(f"{record.title}: {record.status}: {record.error}", console)


def by_setting(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records in groups of one data set, protocol and backbone; who saw queries stands with the others."""
    groups: dict[tuple[str, NameParts, str], list[Record]] = {}
    for record in records:
        protocol = replace(NameParts.of(record.config["protocol"]), held_out=False)
        groups.setdefault((record.config["dataset"], protocol, record.backbone), []).append(record)
    return list(groups.values())


def _title(records: Sequence[Record], judged: bool) -> str:
    first = min(records, key=_saw_queries)
    origin = "" if first.provenance == "official" else f", {first.provenance}"
    seeds = {record.config["seed"] for record in records if record.status == "ok"} - {None}
    one = "; one seed, so no verdict on random methods" if judged and len(seeds) == 1 else ""
    return f"{first.config['dataset']} ({first.config['protocol']}{origin}), features: {first.backbone}{one}"


def _score_cell(metric: str, compared: Verdicts) -> Cell:
    def cell(seeds: list[Record]) -> str:
        values = [record.metrics[metric] for record in seeds if metric in record.metrics]
        if not values:
            return ""
        verdict = compared.get((group_of(seeds[0]), metric))
        close = verdict is not None and verdict.verdict == "not separable"
        return mean_std(values) + (NOT_SEPARABLE if close else UNMARKED)

    return cell


def _print_notes(records: Sequence[Record], compared: Verdicts, console: Console) -> None:
    groups = {group_of(record) for record in records}
    kinds = {one.verdict for (group, _), one in compared.items() if group in groups}
    if "not separable" in kinds:
        print_note(
            f"{NOT_SEPARABLE} not separable from the best of its column (seeds and queries; corrected for its choice, "
            "5%)",
            console,
        )
    held_out = {record.config["protocol"] for record in records if _saw_queries(record)}
    if held_out:
        print_note(f"{SAW_QUERIES} chosen by labelled queries, scored on the others: {held_out.pop()}", console)


def print_models(records: Sequence[Record], store: Store, console: Console) -> None:
    """Print where the trained method of each finished record lies."""
    print_title("models", console)
    for record in records:
        if record.status == "ok":
            path = store.model_path(record.id)
            where = path if path.is_file() else "not saved; the run's log says why"
            print_note(f"{record.title}: {where}", console)


def _saw_queries(record: Record) -> bool:
    return NameParts.of(record.config["protocol"]).held_out


def _by_method(records: Sequence[Record]) -> dict[str, dict[int, list[Record]]]:
    grouped: dict[str, dict[int, list[Record]]] = {}
    for record in records:
        grouped.setdefault(record.label, {}).setdefault(record.config["n_bits"], []).append(record)
    return grouped


def _print_grid(records: Sequence[Record], cell: Cell, console: Console) -> None:
    """Print methods against bits; where the columns do not fit side by side, in several tables."""
    bits = sorted({record.config["n_bits"] for record in records})
    rows = {}
    for label, by_bits in _by_method(records).items():
        mark = f" {SAW_QUERIES}" if any(_saw_queries(group[0]) for group in by_bits.values()) else ""
        rows[label + mark] = [_shown(by_bits.get(n_bits, []), cell) for n_bits in bits]
    widths = [max([len(row[n]) for row in rows.values()] + [len(f"{bits[n]} bits")]) for n in range(len(bits))]
    for columns in _fitting(widths, console.width - max(map(len, rows), default=0)):
        table = new_table(console)
        table.add_column("method", overflow="fold")
        for n in columns:
            table.add_column(f"{bits[n]} bits", justify="right", no_wrap=True, min_width=widths[n])
        for label, cells in rows.items():
            table.add_row(escape(label), *(cells[n] for n in columns))
        console.print(table)


def _shown(group: list[Record], cell: Cell) -> str:
    seeds = [record for record in group if record.status == "ok"]
    return cell(seeds) if seeds else (group[0].status if group else "")


def _fitting(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield columns that fit side by side, at least one at a time."""
    columns: list[int] = []
    for n, width in enumerate(widths):
        if columns and sum(widths[other] + GAP for other in columns) + width + GAP > room:
            yield columns
            columns = []
        columns.append(n)
    if columns:
        yield columns


def mean_std(values: Sequence[float]) -> str:
    """Return a mean with four digits, and the standard deviation where there are several values."""
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.4f}"


def _print_timings(records: Sequence[Record], console: Console) -> None:
    shown = [name for name in TIMINGS if any(name in record.timings for record in records)]
    for columns in _fitting([len(name) for name in shown], console.width - 20):
        table = new_table(console)
        table.add_column("method", overflow="fold")
        table.add_column("bits", justify="right", no_wrap=True)
        for n in columns:
            table.add_column(shown[n], justify="right", no_wrap=True, min_width=len(shown[n]))
        for label, by_bits in _by_method(records).items():
            for n_bits, group in sorted(by_bits.items()):
                cells = [_median([record.timings.get(shown[n]) for record in group]) for n in columns]
                if any(cells):
                    table.add_row(escape(label), str(n_bits), *cells)
        console.print(table)


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return quantity(float(np.median(known))) if known else ""


def quantity(value: float) -> str:
    """Format a number to three significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
