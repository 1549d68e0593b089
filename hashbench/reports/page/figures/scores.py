"""Figures of scores and timings: by code length, against cost, by a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hashbench.reports.figure_style import LOG_FROM
from hashbench.reports.grids import one_parameter_grids
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.setting import Setting, shown
from hashbench.results.rows import Row

COSTS = {
    "fit_s": ("training on features, seconds", False),
    "encode_items_per_s": ("items encoded per second", True),
    "bytes": ("bytes of a code", False),
}
"""What a method costs: the axis's title, and whether more is better."""


def figures_of_scores(setting: Setting) -> Iterator[Figure]:
    """Yield the figures that need scores and timings alone."""
    for metric in setting.headline:
        if len(setting.bits) > 1:
            yield _by_bits(setting, metric)
        for name in COSTS:
            yield from _cost(setting, metric, name)
        scored = [row for row in setting.rows if metric in row.scores]
        for method, parameter, rest, rows in one_parameter_grids(scored, lambda row: row.config):
            name = shown(f"{method}[{rest}]" if rest else method)
            yield _sensitivity(rows, parameter, metric, name, setting.axes[metric])


def _by_bits(setting: Setting, metric: str) -> Figure:
    rows = [row for row in setting.rows if metric in row.scores]
    data = pd.DataFrame([{"name": row.label, "x": row.n_bits, **_scored(row, metric)} for row in rows])
    ticks = {"values": setting.bits, "format": "d"}
    x = charts.axis("x", "bits", type="log", base=2, nice=False, padding=12, axis=ticks)
    told = charts.tooltip(exact=("x",), name="method", x="bits", y=metric, low="95% from", high="to")
    return Figure(
        "by_bits",
        f"{metric} by code length",
        f"Lines of {metric} over code length. {_extremes(data)}",
        charts.lines(setting.labels, x, charts.axis("y", setting.axes[metric], zero=False), told, banded=True),
        data,
        metric=metric,
    )


def _scored(row: Row, metric: str) -> dict[str, object]:
    score = row.scores[metric]
    return {"y": score.mean, "low": score.low, "high": score.high, "marked": True}


def _extremes(data: pd.DataFrame) -> str:
    n_bits = data["x"].max()
    at = data[data["x"] == n_bits].sort_values("y")
    low, high = at.iloc[0], at.iloc[-1]
    return (
        f"At {n_bits} bits the highest of {len(at)} methods is {high['name']} with {high['y']:.4f}, "
        f"the lowest {low['name']} with {low['y']:.4f}."
    )


def _cost(setting: Setting, metric: str, name: str) -> Iterator[Figure]:
    title, more_is_better = COSTS[name]
    priced = [(row, _price(row, name)) for row in setting.rows if metric in row.scores]
    known = [(row, price) for row, price in priced if price is not None]
    if len({price for _, price in known}) < 2:
        return
    data = pd.DataFrame(
        [{"name": row.label, "bits": row.n_bits, "x": price, "y": row.scores[metric].mean} for row, price in known]
    )
    merits = [row.scores[metric].merit for row, _ in known]
    data["front"] = pareto_front(-data["x"] if more_is_better else data["x"], np.array(merits))
    data["order"] = data["x"].rank(method="first").astype(int)
    best = data[data["front"]].sort_values("x").to_dict("records")
    front = ", ".join(f"{row['name']} at {row['bits']} bits" for row in best)
    low, high = data["x"].min(), data["x"].max()
    if name == "bytes" or low <= 0:
        x = charts.axis("x", title, zero=False, padding=12, axis={"values": sorted(set(data["x"]))})
    else:
        x = charts.log_axis("x", title, low, high, "~s" if more_is_better else "~g")
    told = charts.tooltip(exact=("x",) if name == "bytes" else (), name="method", bits="bits", x=title, y=metric)
    yield Figure(
        "cost",
        f"{metric} against {title}",
        f"Points of {metric}, one a method and code length. On the Pareto front, ringed: {front}.",
        charts.cost(setting.labels, x, charts.axis("y", setting.axes[metric], zero=False), told),
        data,
        metric=metric,
    )


def _price(row: Row, name: str) -> float | None:
    return float(-(-row.n_bits // 8)) if name == "bytes" else row.timings.get(name)


def pareto_front(costs: pd.Series | np.ndarray, scores: pd.Series | np.ndarray) -> np.ndarray:
    """Return which points no other one beats: as cheap and as good, and one of the two strictly.

    Parameters
    ----------
    costs, scores : array-like of shape (n,), float
        Lower costs and higher scores are better.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    costs, scores = np.asarray(costs, float)[:, None], np.asarray(scores, float)[:, None]
    no_worse = (costs >= costs.T) & (scores <= scores.T)
    better = (costs > costs.T) | (scores < scores.T)
    return np.logical_not((no_worse & better).any(axis=1))


def _sensitivity(rows: Sequence[Row], parameter: str, metric: str, name: str, axis: str) -> Figure:
    values = [row.config["params"][parameter] for row in rows]
    numeric = all(type(value) in (int, float) for value in values)
    points = [
        {"name": f"{row.n_bits} bits", "x": value if numeric else shown(value), **_scored(row, metric)}
        for row, value in sorted(zip(rows, values, strict=True), key=lambda pair: pair[0].n_bits)
    ]
    data = pd.DataFrame(points)
    title = shown(parameter)
    text = ("name",) if numeric else ("name", "x")
    told = charts.tooltip(text, ("x",), name="code length", x=title, y=metric, low="95% from", high="to")
    lower = rows[0].scores[metric].better == "lower"
    best = data.loc[data["y"].idxmin() if lower else data["y"].idxmax()]
    x, y = _parameter_axis(data, title, numeric), charts.axis("y", axis, zero=False)
    return Figure(
        "sensitivity",
        f"{name}: {metric} by {title}",
        f"Lines of {metric} over {data['x'].nunique()} values of {title}, one a code length. "
        f"The {'lowest' if lower else 'highest'} is {best['y']:.4f}, at {title} {best['x']} and {best['name']}.",
        charts.lines(list(data["name"].unique()), x, y, told, banded=True),
        data,
        metric=metric,
        choice=f"{name}: {title}",
    )


def _parameter_axis(data: pd.DataFrame, parameter: str, numeric: bool) -> charts.Spec:
    if not numeric:
        return {"field": "x", "type": "ordinal", "title": parameter, "sort": sorted(set(data["x"]))}
    wide = data["x"].min() > 0 and data["x"].max() >= LOG_FROM * data["x"].min()
    values = sorted(set(data["x"]))
    scale = {"type": "log"} if wide else {"zero": False}
    return charts.axis("x", parameter, nice=False, padding=12, **scale, axis={"values": values, "format": "~g"})
