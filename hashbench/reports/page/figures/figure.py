"""A figure of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from hashbench.reports.page.figures.key import Spec


@dataclass(frozen=True)
class Figure:
    """A figure of a page.

    Attributes
    ----------
    panel : str
        The section that it belongs to.
    title : str
    alt : str
        What it shows, in a sentence or two, for who cannot see it.
    spec : dict
        Vega-Lite; its data is named ``points``, and that of its key ``key``.
    data : pandas.DataFrame
    bits : int or None
        It is shown where this code length is chosen; None: always.
    metric : str or None
        Likewise.
    choice : str
        What tells it from others of its section, one of which is shown.
    """

    panel: str
    title: str
    alt: str
    spec: Spec
    data: pd.DataFrame
    bits: int | None = None
    metric: str | None = None
    choice: str = ""


def columns_of(data: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a table's columns as plain values, None where one is missing."""
    return {str(name): [None if value != value else value for value in data[name].tolist()] for name in data.columns}


def rows_of_table(data: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as plain values, None where one is missing."""
    columns = columns_of(data)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
