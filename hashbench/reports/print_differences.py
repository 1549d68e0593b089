"""Prints the differences between two runs as a table: ``hashbench compare``."""

from __future__ import annotations

import math

import pandas as pd
from rich.console import Console
from rich.markup import escape

from hashbench.reports.console import new_table, print_note, print_title


def print_differences(frame: pd.DataFrame, console: Console) -> None:
    """Print a table for each setting.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `hashbench.results.compare_runs.compare_runs`.
    console : rich.console.Console
    """
    for (dataset, protocol, backbone), rows in frame.groupby(["dataset", "protocol", "backbone"]):
        print_title(f"{dataset} ({protocol}), features: {backbone}", console)
        table = new_table(console)
        table.add_column("method", overflow="fold")
        for column in ("metric", "bits", "seeds", "A", "B", "B - A", "95% interval", "p (Holm)", "verdict"):
            table.add_column(column, justify="left" if column in ("metric", "verdict") else "right", no_wrap=True)
        for row in rows.itertuples(index=False):
            table.add_row(
                escape(row.method_a if row.method_a == row.method_b else f"{row.method_a} / {row.method_b}"),
                row.metric + (" (lower is better)" if row.better == "lower" else ""),
                str(row.n_bits),
                str(row.seeds_a) if row.seeds_a == row.seeds_b else f"{row.seeds_a} / {row.seeds_b}",
                f"{row.mean_a:.4f}",
                f"{row.mean_b:.4f}",
                f"{row.difference:+.4f}",
                "" if math.isnan(row.low) else f"{row.low:+.4f} to {row.high:+.4f}",
                "" if math.isnan(row.p_holm) else f"{row.p_holm:.2g}",
                row.verdict,
            )
        console.print(table)
    print_note(f"paired by query, over seeds and queries; p values corrected for all {len(frame)} rows", console)
    if (frame["verdict"] == "unknown").any():
        print_note("unknown: one seed of a random method does not tell what another would have given", console)
