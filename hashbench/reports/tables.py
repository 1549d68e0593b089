"""Records as tables for people: methods against code lengths, with marks, and timings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from rich.console import Console
from rich.markup import escape

from hashbench.data.protocol import NameParts
from hashbench.records.collapse import notes_of
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.by_bytes import print_by_bytes, print_uncoded
from hashbench.reports.console import new_table, print_note, print_title
from hashbench.results.metric_infos import infos_of, shown_metrics
from hashbench.results.rows import TIMINGS, Row, rows_of
from hashbench.results.setting import Named, Setting, by_setting, file_of, grouped, named
from hashbench.results.verdicts import verdicts

NOT_SEPARABLE, UNMARKED = "*", " "
SAW_QUERIES = "†"
GAP = 3
"""Characters between two columns of a table, at most."""
Cell = Callable[[Row], str]


def print_tables(
    records: Sequence[Record], console: Console, store: Store | None = None, metrics: Sequence[str] = ()
) -> None:
    """Print metrics and timings, methods against bits; one group of tables for each setting.

    Parameters
    ----------
    records : sequence of Record
        Of one run.
    console : rich.console.Console
    store : Store, optional
        Where the records' arrays are: values that are not separable from the best of their column get a mark.
    metrics : sequence of str, optional
        Which metrics get a separate table; the headline ones by default.
    """
    compared = verdicts(records, store) if store else {}
    tables = tables_of(records)
    for title, group in tables:
        rows = rows_of(group, compared=compared)
        if group[0].is_by_bytes:
            print_by_bytes(group, title, console)
            added = {name for record in group for name in record.added_metrics}
            _print_scores(
                rows, [name for name in shown_metrics(group) if name in added], _title(group, title, True), console
            )
            continue
        if group[0].is_uncoded:
            print_uncoded(rows, metrics or shown_metrics(group), _title(group, title, False), console)
            continue
        _print_scores(rows, metrics or shown_metrics(group), _title(group, title, bool(store)), console)
        _print_notes(rows, console)
        if any(record.origin == "trained" for row in rows for record in row.records):
            print_title("timings (median over seeds; features and views are computed once and shared)", console)
            _print_timings(rows, console)
    for title, group in tables:
        where = f"{title.dataset} ({title.protocol}), features: {title.backbone}: " if len(tables) > 1 else ""
        for line in chain(_without_result(group), _what_collapsed(group), _left_out(group)):
            print_note(where + line, console)


def _without_result(records: Sequence[Record]) -> Iterator[str]:
    """Yield why cells have no result; cells of one method with one reason share a line."""
    failed = [record for record in records if record.status != "ok"]
    for (label, status, error), cells in grouped(failed, lambda one: (one.label, one.status, one.error)).items():
        which = cells[0].title if len(cells) == 1 else f"{label}, {len(cells)} cells"
        yield f"{which}: {status}: {error}"


def _what_collapsed(records: Sequence[Record]) -> Iterator[str]:
    for record in records:
        for note in notes_of(record):
            yield f"{record.title}: {note}"


def _left_out(records: Sequence[Record]) -> Iterator[str]:
    """Yield why added metrics have no value; cells with one reason share a line."""
    why = [(record, name, info.left_out) for record in records for name, info in record.added.items() if info.left_out]
    for (name, reason), cells in grouped(why, lambda one: one[1:]).items():
        which = cells[0][0].title if len(cells) == 1 else f"{len(cells)} cells"
        yield f"{which}: {name} left out: {reason}"


def _print_scores(rows: Sequence[Row], metrics: Sequence[str], title: str, console: Console) -> None:
    """Print a table for each metric."""
    infos = infos_of(record for row in rows for record in row.records)
    for metric in metrics:
        if metric in infos:
            print_title(f"{infos[metric].axis}: {title}", console)
            _print_grid(rows, _score_cell(metric), console)


def tables_of(records: Sequence[Record]) -> list[tuple[Named, list[Record]]]:
    """Return the records of each table with its name: one setting, and with it the methods that have seen queries."""
    groups = by_setting(records)
    names = named({setting: file_of(members) for setting, members in groups.items()})
    home = {setting: _home(setting, names) for setting in groups}
    together = grouped(groups, lambda setting: home[setting])
    return [
        (names[setting], list(chain.from_iterable(groups[one] for one in members)))
        for setting, members in together.items()
    ]


def _home(setting: Setting, names: dict[Setting, Named]) -> Setting:
    """Return the setting whose table shows a setting: another one's where its methods have seen some of the queries.

    Half of its queries are scored, so that its data and its protocol have other checksums than those of its home.
    """
    if not NameParts.of(setting.protocol).held_out:
        return setting

    def shared(one: Setting) -> tuple[object, ...]:
        protocol = replace(NameParts.of(one.protocol), held_out=False)
        return one.dataset, names[one].dataset, protocol, one.features, one.engine, one.tuned

    there = [one for one in names if one != setting and shared(one) == shared(setting) and not one.reads_labels]
    return there[0] if len(there) == 1 else setting


def _title(records: Sequence[Record], name: Named, judged: bool) -> str:
    first = min(records, key=_saw_queries)
    origin = "" if first.provenance == "official" else f", {first.provenance}"
    seeds = {record.config["seed"] for record in records if record.status == "ok"} - {None}
    one = "; one seed, so no verdict on random methods" if judged and len(seeds) == 1 else ""
    return f"{name.dataset} ({name.protocol}{origin}), features: {name.backbone}{one}"


def _score_cell(metric: str) -> Cell:
    def cell(row: Row) -> str:
        score = row.scores.get(metric)
        if score is None:
            return ""
        return "".join(score.text()) + (NOT_SEPARABLE if score.verdict == "not separable" else UNMARKED)

    return cell


def _print_notes(rows: Sequence[Row], console: Console) -> None:
    if any(score.verdict == "not separable" for row in rows for score in row.scores.values()):
        print_note(
            f"{NOT_SEPARABLE} not separable from the best of its column (seeds and queries; corrected for its choice, "
            "5%)",
            console,
        )
    held_out = {row.newest.config["protocol"] for row in rows if _saw_queries(row.newest)}
    if held_out:
        print_note(f"{SAW_QUERIES} chosen by labelled queries, scored on the others: {held_out.pop()}", console)


def print_models(records: Sequence[Record], store: Store, console: Console) -> None:
    """Print the path of each finished record's trained method."""
    print_title("models", console)
    for record in records:
        if record.status == "ok":
            path = store.model_path(record)
            where = path if path.is_file() else "not saved; the run's log says why"
            print_note(f"{record.title}: {where}", console)


def _saw_queries(record: Record) -> bool:
    return NameParts.of(record.config["protocol"]).held_out


def _by_method(rows: Sequence[Row]) -> dict[str, dict[int, Row]]:
    return {label: {row.n_bits: row for row in same} for label, same in grouped(rows, lambda row: row.label).items()}


def _print_grid(rows: Sequence[Row], cell: Cell, console: Console) -> None:
    """Print methods against bits; where the columns do not fit side by side, in several tables."""
    bits = sorted({row.n_bits for row in rows})
    lines = {}
    for label, by_bits in _by_method(rows).items():
        mark = f" {SAW_QUERIES}" if any(_saw_queries(row.newest) for row in by_bits.values()) else ""
        lines[label + mark] = [_shown(by_bits.get(n_bits), cell) for n_bits in bits]
    widths = [max([len(line[n]) for line in lines.values()] + [len(f"{bits[n]} bits")]) for n in range(len(bits))]
    for columns in _fitting(widths, console.width - max(map(len, lines), default=0)):
        table = new_table(console)
        table.add_column("method", overflow="fold")
        for n in columns:
            table.add_column(f"{bits[n]} bits", justify="right", no_wrap=True, min_width=widths[n])
        for label, cells in lines.items():
            table.add_row(escape(label), *(cells[n] for n in columns))
        console.print(table)


def _shown(row: Row | None, cell: Cell) -> str:
    if row is None:
        return ""
    return cell(row) if any(record.status == "ok" for record in row.records) else row.records[0].status


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


def _print_timings(rows: Sequence[Row], console: Console) -> None:
    shown = [name for name in TIMINGS if any(name in row.timings for row in rows)]
    for columns in _fitting([len(name) for name in shown], console.width - 20):
        table = new_table(console)
        table.add_column("method", overflow="fold")
        table.add_column("bits", justify="right", no_wrap=True)
        for n in columns:
            table.add_column(shown[n], justify="right", no_wrap=True, min_width=len(shown[n]))
        for label, by_bits in _by_method(rows).items():
            for n_bits, row in sorted(by_bits.items()):
                times = [row.timings.get(shown[n]) for n in columns]
                if any(time is not None for time in times):
                    table.add_row(
                        escape(label), str(n_bits), *("" if time is None else quantity(time) for time in times)
                    )
        console.print(table)


def quantity(value: float) -> str:
    """Format a number to three significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
