"""Recall for bytes: what an engineer chooses by, without rescoring and with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hashbench.reports.by_bytes import front, recall
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import Looks
from hashbench.reports.page.setting import Setting

TIMES = (1, 4)
"""How many times k candidates are ranked again by their vectors; 1: none."""


def figures_of_bytes(setting: Setting, looks: Looks) -> Iterator[Figure]:
    """Yield recall@10 over bytes, where a setting is scored by it."""
    for times in TIMES if setting.is_by_bytes else ():
        best = front(setting.rows, times)
        rows = [(row, recall(row, 10, times)) for row in setting.rows]
        data = pd.DataFrame(
            [
                {"name": row.label, "x": row.n_bytes, "y": at_10, "front": row in best}
                for row, at_10 in sorted(rows, key=lambda pair: pair[0].n_bytes)
                if not np.isnan(at_10)
            ]
        )
        if data.empty:
            continue
        data["order"] = data["x"].rank(method="first").astype(int)
        title = "recall@10" + (f" after {times * 10} candidates are ranked again" if times > 1 else "")
        low, high = np.log2([data["x"].min(), data["x"].max()])
        ticks = {"values": [2.0**power for power in range(int(low), int(np.ceil(high)) + 1)], "format": ",d"}
        x = charts.axis("x", "bytes a vector", type="log", base=2, nice=False, padding=12, axis=ticks)
        y = charts.value_axis("recall@10", data, from_zero=True)
        tooltip_fields = charts.tooltip(exact=("x",), name="method", x="bytes", y="recall@10")
        names = ", ".join(f"{row.label} with {row.n_bytes:,}" for row in best)
        yield Figure(
            "bytes",
            f"{title}, by bytes",
            f"Points of {title} over bytes. The grey steps go through what is best with as few bytes: {names}.",
            charts.cost(data, looks, x, y, tooltip_fields, lengths_joined=True),
            data,
        )
