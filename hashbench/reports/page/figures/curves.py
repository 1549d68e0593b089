"""Figures of the curves that records keep: precision and recall, and what a method logs while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hashbench.evaluation.curves import at_equal_recall
from hashbench.evaluation.readings import split_reading
from hashbench.records.record import Record
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import Looks
from hashbench.reports.page.setting import Setting, shown
from hashbench.results.rows import Row
from hashbench.results.setting import grouped_ascending

MOST_EPOCHS = 60
"""Points of a training curve that are drawn; of more, every second, third … one."""
MOST_BANDS = 6
"""Methods of a figure that has bands from the lowest to the highest seed; more would hide each other."""


def figures_of_curves(setting: Setting, looks: Looks) -> Iterator[Figure]:
    """Yield the figures that need the curves which records keep."""
    if setting.store is None:
        return
    for n_bits in setting.bits:
        curves = _curves(setting, n_bits)
        if not curves:
            continue
        n_database = max(seeds[0]["ranks"][-1] for seeds in curves.values())
        ranks = charts.log_axis("x", "N (items retrieved)", 1, float(n_database), "~s")
        recall = charts.axis("x", "recall", domain=[0, 1], axis={"format": "~g"})
        for panel, title, x, drawn in (
            ("pr", f"precision and recall, {n_bits} bits", recall, at_equal_recall),
            ("precision", f"precision@N, {n_bits} bits", ranks, _at_equal_rank),
        ):
            banded = len(curves) <= MOST_BANDS
            data = pd.concat([_line(name, *drawn(seeds), banded) for name, seeds in curves.items()], ignore_index=True)
            exact = ("x",) if panel == "precision" else ()
            tooltip_fields = charts.tooltip(exact=exact, name="method", x=x["title"], y="precision")
            y = charts.value_axis("precision", data, from_zero=True)
            yield Figure(
                panel,
                title,
                f"Lines of precision over {x['title']} for {len(curves)} methods, means over seeds. {_highest(data)}",
                charts.lines(data, looks, x, y, tooltip_fields, joined=False),
                data,
                bits=n_bits,
            )
    yield from _training(setting, looks)


def _highest(data: pd.DataFrame) -> str:
    areas = data.groupby("name")["y"].mean().sort_values()
    return f"Averaged over the points drawn, {areas.index[-1]} is highest and {areas.index[0]} lowest."


def _curves(setting: Setting, n_bits: int) -> dict[str, list[dict[str, np.ndarray]]]:
    """Return by label the curves of each seed; real-valued queries have none, nor have bytes and unseen classes."""
    store, names = setting.store, ("ranks", "rank_precision", "rank_recall")
    assert store is not None
    rows = [row for row in setting.rows if row.n_bits == n_bits and _has_curves(row.newest)]
    arrays = {row.label: [store.arrays(record.id) for record in row.records] for row in rows}
    return {label: [{name: seed[name] for name in names} for seed in seeds] for label, seeds in arrays.items()}


def _has_curves(record: Record) -> bool:
    of_readings = any(split_reading(name)[1] for name in record.metrics)
    return record.distance == "hamming" and not record.is_by_bytes and not of_readings


def _at_equal_rank(seeds: Sequence[dict[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return seeds[0]["ranks"], np.array([seed["rank_precision"] for seed in seeds])


def _line(name: str, x: np.ndarray, seeds: np.ndarray, banded: bool = True) -> pd.DataFrame:
    """Return the mean over seeds and, where there are several, the lowest and the highest."""
    values = {"y": seeds.mean(axis=0)}
    if banded and len(seeds) > 1:
        values |= {"low": seeds.min(axis=0), "high": seeds.max(axis=0)}
    return pd.DataFrame({"name": name, "x": np.round(x, 5), **{k: np.round(v, 5) for k, v in values.items()}})


def _training(setting: Setting, looks: Looks) -> Iterator[Figure]:
    for label, rows in grouped_ascending(setting.rows, lambda row: row.label).items():
        entries = [entry for row in rows for record in row.records for entry in record.training]
        names = {name for entry in entries if "epoch" in entry for name in entry}
        for quantity in sorted(names - {"epoch"}, key=lambda name: (name != "loss", name)):
            data = pd.concat([_epochs(row, quantity) for row in rows], ignore_index=True)
            if len(data):
                yield _logged(label, data, quantity, looks)


def _logged(label: str, data: pd.DataFrame, quantity: str, looks: Looks) -> Figure:
    name = shown(quantity)
    ends = "; ".join(
        f"{bits}: {part['y'].iloc[0]:.4g} to {part['y'].iloc[-1]:.4g}"
        for bits, part in data.groupby("name", sort=False)
    )
    x = charts.axis("x", "epoch", nice=False, axis={"format": "d", "tickMinStep": 1})
    tooltip_fields = charts.tooltip(exact=("x",), name="code length", x="epoch", y=name)
    return Figure(
        "training",
        f"{label}: {name} by epoch",
        f"Lines of {name} over epochs, one a code length, means over seeds. From first to last: {ends}.",
        charts.lines(data, looks, x, charts.value_axis(name, data), tooltip_fields, joined=True),
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
    values = pd.concat(seeds, axis=1).dropna().sort_index()
    values = values.iloc[:: max(1, -(-len(values) // MOST_EPOCHS))]
    return _line(f"{row.n_bits} bits", values.index.to_numpy(float), values.to_numpy(float).T)
