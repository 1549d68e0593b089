"""Figures of the curves that records keep: precision and recall, and what a method logs while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hashbench.evaluation.curves import at_equal_recall
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.setting import Setting, shown
from hashbench.results.rows import Row
from hashbench.results.setting import grouped_ascending

MOST_EPOCHS = 150
"""Points of a training curve that are drawn; of more, every second, third … one."""


def figures_of_curves(setting: Setting) -> Iterator[Figure]:
    """Yield the figures that need the curves which records keep."""
    if setting.store is None:
        return
    for n_bits in setting.bits:
        curves = _curves(setting, n_bits)
        if not curves:
            continue
        n_database = max(seeds[0]["ranks"][-1] for seeds in curves.values())
        ranks = charts.log_axis("x", "N (items retrieved)", 1, float(n_database), "~s")
        for panel, title, x, drawn in (
            (
                "pr",
                f"precision and recall, {n_bits} bits",
                charts.axis("x", "recall", domain=[0, 1], axis={"format": "~g"}),
                _by_recall,
            ),
            ("precision", f"precision@N, {n_bits} bits", ranks, _by_rank),
        ):
            data = pd.concat([drawn(label, seeds) for label, seeds in curves.items()], ignore_index=True)
            exact = ("x",) if panel == "precision" else ()
            told = charts.tooltip(exact=exact, name="method", x=x["title"], y="precision")
            yield Figure(
                panel,
                title,
                f"Lines of precision over {x['title']} for {len(curves)} methods, means over seeds. {_highest(data)}",
                charts.lines(setting.labels, x, charts.axis("y", "precision"), told, banded=False),
                data,
                bits=n_bits,
            )
    yield from _training(setting)


def _highest(data: pd.DataFrame) -> str:
    areas = data.groupby("name")["y"].mean().sort_values()
    return f"Averaged over the points drawn, {areas.index[-1]} is highest and {areas.index[0]} lowest."


def _curves(setting: Setting, n_bits: int) -> dict[str, list[dict[str, np.ndarray]]]:
    """Return by label the arrays of each seed; rankings by real-valued scores have no curves."""
    assert setting.store is not None
    rows = [row for row in setting.rows if row.n_bits == n_bits]
    arrays = {row.label: [setting.store.arrays(record.id) for record in row.records] for row in rows}
    return {label: seeds for label, seeds in arrays.items() if all("ranks" in seed for seed in seeds)}


def _by_recall(label: str, seeds: Sequence[dict[str, np.ndarray]]) -> pd.DataFrame:
    recall, precision = at_equal_recall(seeds)
    return _line(label, recall, precision.mean(axis=0))


def _by_rank(label: str, seeds: Sequence[dict[str, np.ndarray]]) -> pd.DataFrame:
    return _line(label, seeds[0]["ranks"], np.mean([seed["rank_precision"] for seed in seeds], axis=0))


def _line(name: str, x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    every = max(1, len(x) // 10)
    marked = np.arange(len(x)) % every == 0
    return pd.DataFrame({"name": name, "x": np.round(x, 5), "y": np.round(y, 5), "marked": marked})


def _training(setting: Setting) -> Iterator[Figure]:
    for label, rows in grouped_ascending(setting.rows, lambda row: row.label).items():
        entries = [entry for row in rows for record in row.records for entry in record.training]
        names = {name for entry in entries if "epoch" in entry for name in entry}
        for quantity in sorted(names - {"epoch"}, key=lambda name: (name != "loss", name)):
            yield _logged(label, rows, quantity)


def _logged(label: str, rows: Sequence[Row], quantity: str) -> Figure:
    data = pd.concat([_epochs(row, quantity) for row in rows], ignore_index=True)
    name = shown(quantity)
    ends = "; ".join(
        f"{bits}: {part['y'].iloc[0]:.4g} to {part['y'].iloc[-1]:.4g}"
        for bits, part in data.groupby("name", sort=False)
    )
    x = charts.axis("x", "epoch", nice=False, axis={"format": "d", "tickMinStep": 1})
    told = charts.tooltip(exact=("x",), name="code length", x="epoch", y=name)
    return Figure(
        "training",
        f"{label}: {name} by epoch",
        f"Lines of {name} over epochs, one a code length, means over seeds. From first to last: {ends}.",
        charts.lines(list(data["name"].unique()), x, charts.axis("y", name, zero=False), told, banded=False),
        data,
        choice=label,
    )


def _epochs(row: Row, quantity: str) -> pd.DataFrame:
    seeds = [
        pd.Series(
            {entry["epoch"]: entry[quantity] for entry in record.training if {"epoch", quantity} <= set(entry)},
            dtype=float,
        )
        for record in row.records
    ]
    mean = pd.concat(seeds, axis=1).dropna().mean(axis=1).sort_index()
    mean = mean.iloc[:: max(1, -(-len(mean) // MOST_EPOCHS))]
    return _line(f"{row.n_bits} bits", mean.index.to_numpy(float), mean.to_numpy(float))
