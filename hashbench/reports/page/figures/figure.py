"""A figure of a page."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hashbench.reports.page.figures.charts import Spec


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
        Vega-Lite; its data is named ``points``.
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
