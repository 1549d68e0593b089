"""Figures of scores and timings: by code length, against cost, by a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hashbench.reports.one_parameter_grids import one_parameter_grids
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import Looks
from hashbench.reports.page.setting import Setting, shown
from hashbench.reports.pareto import pareto_front
from hashbench.results.rows import Row

COSTS = {
    "fit_s": ("training on features, seconds", False),
    "encode_items_per_s": ("items encoded per second", True),
    "bytes": ("bytes of a code", False),
}
"""What a method costs: the axis's title, and whether more is better."""
LOG_FROM = 20
"""Ratio of the largest to the smallest parameter value from which an axis is logarithmic."""
AXIS_CHARACTERS = 40
"""Characters of a parameter's values that fit below an axis; more are written upright."""


def figures_of_scores(setting: Setting, looks: Looks) -> Iterator[Figure]:
    """Yield the figures that need scores and timings alone."""
    for metric in setting.headline:
        if len(setting.bits) > 1 and not setting.is_by_bytes:
            yield _by_bits(setting, metric, looks)
        for name in COSTS:
            if name != "bytes" or not setting.is_by_bytes:
                yield from _cost(setting, metric, name, looks)
        scored = [row for row in setting.rows if metric in row.scores]
        for method, parameter, rest, rows in one_parameter_grids(scored, lambda row: row.config):
            name = shown(f"{method}[{rest}]" if rest else method)
            yield _sensitivity(rows, parameter, metric, name, looks, setting.axes[metric])


def _by_bits(setting: Setting, metric: str, looks: Looks) -> Figure:
    rows = [row for row in setting.rows if metric in row.scores]
    data = pd.DataFrame([{"name": row.label, "x": row.n_bits, **_scored(row, metric)} for row in rows])
    ticks = {"values": setting.bits, "format": "d"}
    x = charts.axis("x", "bits", type="log", base=2, nice=False, padding=12, axis=ticks)
    tooltip_fields = charts.tooltip(exact=("x",), name="method", x="bits", y=metric, low="95% from", high="to")
    return Figure(
        "by_bits",
        f"{metric} by code length",
        f"Lines of {metric} over code length. {_extremes(data)}",
        charts.lines(data, looks, x, charts.value_axis(setting.axes[metric], data), tooltip_fields, joined=True),
        data,
        metric=metric,
    )


def _scored(row: Row, metric: str) -> dict[str, object]:
    score = row.scores[metric]
    return {"y": score.mean, "low": score.low, "high": score.high}


def _extremes(data: pd.DataFrame) -> str:
    n_bits = data["x"].max()
    at = data[data["x"] == n_bits].sort_values("y")
    low, high = at.iloc[0], at.iloc[-1]
    return (
        f"At {n_bits} bits the highest of {len(at)} methods is {high['name']} with {high['y']:.4f}, "
        f"the lowest {low['name']} with {low['y']:.4f}."
    )


def _cost(setting: Setting, metric: str, name: str, looks: Looks) -> Iterator[Figure]:
    title, more_is_better = COSTS[name]
    priced = [(row, _price(row, name)) for row in setting.rows if metric in row.scores]
    known = [(row, price) for row, price in priced if price is not None]
    if len({price for _, price in known}) < 2:
        return
    data = pd.DataFrame(
        [{"name": row.label, "bits": row.n_bits, "x": price, "y": row.scores[metric].mean} for row, price in known]
    )
    merits = [row.scores[metric].merit for row, _ in known]
    data["front"] = pareto_front(-data["x"] if more_is_better else data["x"], merits)
    data["order"] = data["x"].rank(method="first").astype(int)
    best = data[data["front"]].sort_values("x").to_dict("records")
    front = ", ".join(f"{row['name']} at {row['bits']} bits" for row in best)
    low, high = data["x"].min(), data["x"].max()
    if name == "bytes" or low <= 0:
        x = charts.axis("x", title, zero=False, padding=12, axis={"values": sorted(set(data["x"]))})
    else:
        x = charts.log_axis("x", title, low, high, "~s" if more_is_better else "~g")
    tooltip_fields = charts.tooltip(
        exact=("x",) if name == "bytes" else (), name="method", bits="bits", x=title, y=metric
    )
    yield Figure(
        "cost",
        f"{metric} against {title}",
        f"Points of {metric}, one a method and code length. On the Pareto front, ringed: {front}.",
        charts.cost(data, looks, x, charts.value_axis(setting.axes[metric], data), tooltip_fields),
        data,
        metric=metric,
    )


def _price(row: Row, name: str) -> float | None:
    return float(-(-row.n_bits // 8)) if name == "bytes" else row.timings.get(name)


def _sensitivity(rows: Sequence[Row], parameter: str, metric: str, name: str, looks: Looks, axis: str) -> Figure:
    values = [row.config["params"][parameter] for row in rows]
    numeric = all(type(value) in (int, float) for value in values)
    points = [
        {"name": f"{row.n_bits} bits", "x": value if numeric else shown(value), **_scored(row, metric)}
        for row, value in sorted(
            zip(rows, values, strict=True), key=lambda pair: (pair[0].n_bits, pair[1] if numeric else str(pair[1]))
        )
    ]
    data = pd.DataFrame(points)
    title = shown(parameter)
    text = ("name",) if numeric else ("name", "x")
    tooltip_fields = charts.tooltip(text, ("x",), name="code length", x=title, y=metric, low="95% from", high="to")
    lower = rows[0].scores[metric].better == "lower"
    best = data.loc[data["y"].idxmin() if lower else data["y"].idxmax()]
    x, y = _parameter_axis(data, title, numeric), charts.value_axis(axis, data)
    return Figure(
        "sensitivity",
        f"{name}: {metric} by {title}",
        f"Lines of {metric} over {data['x'].nunique()} values of {title}, one a code length. "
        f"The {'lowest' if lower else 'highest'} is {best['y']:.4f}, at {title} {best['x']} and {best['name']}.",
        charts.lines(data, looks, x, y, tooltip_fields, joined=True),
        data,
        metric=metric,
        choice=f"{name}: {title}",
    )


def _parameter_axis(data: pd.DataFrame, parameter: str, numeric: bool) -> charts.Spec:
    values = sorted(set(data["x"]))
    if not numeric:
        angle = 0 if sum(map(len, values)) <= AXIS_CHARACTERS else -90
        return {"field": "x", "type": "ordinal", "title": parameter, "sort": values, "axis": {"labelAngle": angle}}
    ticks = {"values": values, "format": ".6~r"}
    return charts.axis("x", parameter, nice=False, padding=12, **scale_for(values), axis=ticks)


def scale_for(values: Sequence[float]) -> charts.Spec:
    """Return the Vega-Lite scale that spreads a grid's values best, ascending; zero has a place on every one."""
    positive = [value for value in values if value > 0]
    if len(positive) < 2 or values[0] < 0:
        return {"zero": False}
    wide = positive[-1] >= LOG_FROM * positive[0]
    if values[0] == 0:
        return {"type": "symlog", "constant": positive[0]} if wide else {"zero": False}
    if all(float(np.log2(value)).is_integer() for value in values):
        return {"type": "log", "base": 2}
    return {"type": "log"} if wide else {"zero": False}
