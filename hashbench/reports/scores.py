"""Metrics of codes that hashbench did not train."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from rich.console import Console

from hashbench.reports.console import new_table


def metrics_frame(metrics: Mapping[str, float]) -> pd.DataFrame:
    """Return the columns ``metric`` and ``value``."""
    return pd.DataFrame({"metric": list(metrics), "value": list(metrics.values())})


def print_metrics(metrics: Mapping[str, float], console: Console) -> None:
    """Print a row for each metric."""
    table = new_table(console)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
