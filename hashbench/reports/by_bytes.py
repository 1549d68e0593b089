"""Recall for bytes: the table that an engineer chooses by, and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from rich.console import Console
from rich.markup import escape

from hashbench.reports.console import new_table, print_note, print_title
from hashbench.reports.figure_style import looks_of, new_figure, with_legend
from hashbench.runs.records.record import Record
from hashbench.runs.records.verdicts import group_of

TIMES = (1, 2, 4, 10)
"""How many candidates are ranked again by their vectors, as multiples of k."""
PANELS = (1, 4)
TICKS = tuple(2.0**power for power in range(2, 16))


@dataclass(frozen=True)
class Row:
    """A method at one size, its seeds together.

    Attributes
    ----------
    label : str
        The method as the user wrote it, and the distance where that is not its own or Hamming's.
    n_bytes : int
        Of a vector's code, every stored number with it.
    records : list of Record
        One per seed.
    """

    label: str
    n_bytes: int
    records: list[Record]

    def recall(self, k: int, times: int) -> float:
        """Return recall@k after k × times candidates were ranked again; its mean over seeds."""
        return self._mean(
            [one.metrics[f"recall@{k}" if times == 1 else f"recall{k}@{k * times}"] for one in self.records]
        )

    def timing(self, name: str) -> float:
        """Return the median over seeds."""
        return float(np.median([one.timings[name] for one in self.records]))

    def _mean(self, values: list[float]) -> float:
        return float(np.mean(values))


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Return the rows of records that ended well, fewest bytes first, equal ones by recall@10."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "ok":
            groups.setdefault(group_of(record), []).append(record)
    rows = [Row(_label(group[0]), -(-group[0].config["n_bits"] // 8), group) for group in groups.values()]
    return sorted(rows, key=lambda row: (row.n_bytes, -row.recall(10, 1), row.label))


def _label(record: Record) -> str:
    return f"{record.label} asymmetric" if record.is_asymmetric else record.label


def front(rows: Sequence[Row], times: int) -> list[Row]:
    """Return the rows that no other beats: as few bytes and more recall@10, or fewer bytes and as much.

    Parameters
    ----------
    rows : sequence of Row
    times : int
        Of the rescoring, 1 for none.
    """
    best, kept = -1.0, []
    for row in sorted(rows, key=lambda row: (row.n_bytes, -row.recall(10, times))):
        if row.recall(10, times) > best:
            best = row.recall(10, times)
            kept.append(row)
    return kept


def print_by_bytes(records: Sequence[Record], console: Console) -> None:
    """Print the table of one data set, a row per method and size.

    Parameters
    ----------
    records : sequence of Record
        Of one protocol of recall for bytes.
    console : rich.console.Console
    """
    rows, first = rows_of(records), records[0]
    if not rows:
        return
    print_title(f"recall for bytes: {first.config['dataset']} ({first.config['protocol']}), {first.backbone}", console)
    plain, rescored = front(rows, 1), front(rows, 4)
    table = new_table(console)
    table.add_column("method", overflow="fold")
    headings = ["bytes", "", *(f"@{k}{f'×{times}' if times > 1 else ''}" for k in (10, 100) for times in TIMES)]
    for heading in (*headings, "fit s", "encode/s", "q/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        marks = ("*" if row in plain else " ") + ("+" if row in rescored else " ")
        scores = [f"{row.recall(k, times):.3f}".replace("0.", ".") for k in (10, 100) for times in TIMES]
        times_taken = (row.timing("fit_s"), row.timing("encode_items_per_s"), row.timing("top100_queries_per_s"))
        fit_s, *rates = times_taken
        table.add_row(
            escape(row.label), str(row.n_bytes), marks, *scores, f"{fit_s:.1f}", *(f"{one:,.0f}" for one in rates)
        )
    console.print(table)
    rate = np.median([row.timing("rescored_candidates_per_s") for row in rows])
    print_note(
        "@10, @100: recall of the true 10 and 100 neighbours; ×m: after k × m candidates were ranked again", console
    )
    print_note(
        "* nothing has as few bytes and more recall@10; + the same after ×4; bytes with every stored number", console
    )
    print_note(
        f"q/s: top 100 of all, one core; ranking again: {1e6 / rate:.2f} µs a candidate, float32 in memory", console
    )


def bytes_figure(records: Sequence[Record], about: str) -> Figure:
    """Return recall@10 against bytes, without rescoring above and with four times as many candidates below.

    Parameters
    ----------
    records : sequence of Record
    about : str
        The data, for the title.
    """
    rows = rows_of(records)
    figure, panels = new_figure(about, len(PANELS))
    lines: dict[str, Line2D] = {}
    labels = sorted({row.label for row in rows})
    for axes, times in zip(panels, PANELS, strict=True):
        chosen = front(rows, times)
        axes.step(
            [row.n_bytes for row in chosen], [row.recall(10, times) for row in chosen], where="post", color="#BBBBBB"
        )
        for number, label in enumerate(labels):
            own = [row for row in rows if row.label == label]
            looks = looks_of(number) | ({} if len(own) > 1 else {"linestyle": "none"})
            x, y = [row.n_bytes for row in own], [row.recall(10, times) for row in own]
            (lines[label],) = axes.plot(x, y, **looks)
        axes.set_ylabel("recall@10" if times == 1 else f"recall@10, ×{times}")
        axes.set_ylim(top=1.03)
    _bytes_axis(panels[-1])
    return with_legend(figure, lines)


def _bytes_axis(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("bytes a vector (grey: nothing has as few bytes and more recall)")
