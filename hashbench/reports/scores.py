"""Metrics of codes that hashbench did not train."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from rich.console import Console

from hashbench.errors import InputError, shorten
from hashbench.reports.audit import CONVENTION, describe
from hashbench.reports.console import new_table, print_note


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


def readings_of(frame: pd.DataFrame, printed: str) -> list[str]:
    """Return the conventions under which codes have the score that a script printed.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns ``cutoff``, ``divisor``, ``ties``, ``without_hit`` and ``mAP``.
    printed : str
        Such as ``0.7146``, or ``71.46`` for percent; a reading counts that rounds to it.

    Returns
    -------
    list of str
        Such as ``@1000 / hits, numpy, no hit: 0 (0.714603)``. Where none rounds to it, one line with the nearest.

    Raises
    ------
    InputError
        ``printed`` is no number from 0 to 100.
    """
    try:
        value = float(printed)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise InputError(f"--printed {shorten(printed)}: expected a score such as 0.7146, or 71.46 for percent")
    whole = 100 if value > 1 else 1
    half = 0.5 * 10.0 ** -len(printed.strip().partition(".")[2]) / whole
    away = (frame["mAP"] - value / whole).abs()
    rows = frame[away <= half + 1e-9]
    shown = rows if len(rows) else frame.loc[[away.idxmin()]]
    readings = [f"{describe(*row[CONVENTION])} ({row['mAP']:.6f})" for _, row in shown.iterrows()]
    return readings if len(rows) else [f"no reading rounds to it; the nearest is {readings[0]}"]


def print_readings(frame: pd.DataFrame, printed: str, console: Console) -> None:
    """Print a line for each convention that gives a printed score."""
    for line in readings_of(frame, printed):
        print_note(f"{printed}: {line}", console)
