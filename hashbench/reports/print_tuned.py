"""Prints what tuning has found: default beside chosen parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from hashbench.reports.console import new_table, print_note, print_title
from hashbench.reports.tables import quantity
from hashbench.results.setting import READ_LABELS
from hashbench.tuning.compared import TUNED_CSV, compared_frame
from hashbench.tuning.options import TuneOptions
from hashbench.tuning.tune import Tuned
from hashbench.tuning.written import TRIALS_CSV

MARKS = {"best": "best", "separable": "", "not separable": "*", "unknown": "?", "": ""}


def print_tuned(tuned: Tuned, options: TuneOptions, console: Console) -> None:
    """Print a table for each code length and kind of method, what was chosen, and where the files are.

    Parameters
    ----------
    tuned : Tuned
    options : TuneOptions
    console : rich.console.Console
    """
    frame = compared_frame(tuned, options.out)
    for (n_bits, reads_labels), rows in frame.groupby(["bits", "reads_labels"], sort=True):
        which = READ_LABELS if reads_labels else ""
        print_title(f"{tuned.metric}, {n_bits} bits: {tuned.plan.dataset} ({tuned.protocol}{which})", console)
        _print_scores(rows.to_dict("records"), console)
    print_note(f"validation: {tuned.plan.protocol}, by {tuned.plan.metric.name}, one seed, the best trial", console)
    print_note("test: all seeds, 95% interval", console)
    print_note(
        "best, * not separable from the best, ? unknown (one seed): of defaults, of tuned; gain: tuned - default",
        console,
    )
    print_title("chosen", console)
    for row in frame.to_dict("records"):
        print_note(_chosen(row), console)
    _print_files(options.out, console)


def _print_scores(rows: Sequence[dict[str, Any]], console: Console) -> None:
    table = new_table(console)
    for column in ("method", "valid. default", "valid. tuned", "test default", "test tuned", "gain", "trials", "s"):
        table.add_column(column, justify="left" if column == "method" else "right", overflow="fold")
    for row in rows:
        lost = [f"{row[f'{how}_trials']} {how}" for how in ("failed", "pruned") if row[f"{how}_trials"]]
        trials = f"{row['trials']}" + (f" ({', '.join(lost)})" if lost else "")
        table.add_row(
            escape(row["method"]),
            _number(row["validation_default"]),
            _number(row["validation_tuned"]),
            _test(row, "default"),
            _test(row, "tuned"),
            _gain(row),
            trials,
            quantity(row["seconds"]),
        )
    console.print(table)


def _is_known(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: Any) -> str:
    return f"{value:.4f}" if _is_known(value) else ""


def _test(row: dict[str, Any], what: str) -> str:
    low, high = row[f"test_{what}_low"], row[f"test_{what}_high"]
    interval = f" [{low:.3f}, {high:.3f}]" if _is_known(low) else ""
    mark = MARKS[row[f"verdict_{what}"]]
    return escape(f"{_number(row[f'test_{what}'])}{interval}{' ' if mark else ''}{mark}")


def _gain(row: dict[str, Any]) -> str:
    if not _is_known(row["gain"]) or row["gain_verdict"] == "default chosen":
        return row["gain_verdict"] and "default chosen"
    mark = {"separable": "", "not separable": "*"}.get(row["gain_verdict"], "?")
    return f"{row['gain']:+.4f}{mark}"


def _chosen(row: dict[str, Any]) -> str:
    if not row["chosen"]:
        return f"{row['method']} {row['bits']} bits: no trial has a score"
    parts = [f"{row['method']} {row['bits']} bits: {row['chosen']} (trial {row['trial']:.0f})"]
    if row["importances"]:
        parts.append(f"variance of scores explained: {row['importances']}")
    if _is_known(row.get("label_free_spearman")):
        parts.append(
            f"recall of neighbours: Spearman {row['label_free_spearman']:.2f}, regret {row['label_free_regret']:.4f}"
        )
    return "; ".join(parts)


def _print_files(directory: Path, console: Console) -> None:
    toml = ", ".join(sorted(path.name for path in directory.glob("tuned*.toml")))
    files = f"{TUNED_CSV}, {TRIALS_CSV}, records and results.csv: {directory}"
    console.print(f"{files}; repeat without tuning: hashbench run with {toml}", markup=False, highlight=False)
