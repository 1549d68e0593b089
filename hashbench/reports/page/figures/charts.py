"""Vega-Lite specifications: what each kind of figure looks like.

Names of methods are data here, never a part of an expression, so that nothing which they hold is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hashbench.reports.page.figures.key import Spec, by_name, looking, picked, with_key
from hashbench.reports.page.figures.looks import INK, Looks

CONFIG: Spec = {
    "aria": False,
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 150},
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "orient": "top"},
    "line": {"strokeWidth": 1.7},
    "point": {"size": 45, "strokeWidth": 1.2},
    "text": {"fontSize": 11},
}
"""Sizes, in pixels of a page; a file for a column of a paper is the same figure on a smaller scale."""
ROOM = 0.04
"""Share of the values' range that the vertical axis has beyond it."""
MARKS = 9
"""Marks of a line with more points than `MOST_MARKED`."""
MOST_MARKED = 12


def axis(field: str, title: str, **more: Any) -> Spec:
    """Return a quantitative encoding; ``more`` goes to its scale, but for ``axis``."""
    spec: Spec = {"field": field, "type": "quantitative", "title": title}
    if "axis" in more:
        spec["axis"] = more.pop("axis")
    if more:
        spec["scale"] = more
    return spec


def log_axis(field: str, title: str, low: float, high: float, written: str) -> Spec:
    """Return a logarithmic encoding with a tick at each power of ten from one below ``low`` to one above ``high``."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return axis(
        field, title, type="log", nice=False, padding=12, axis={"values": [10.0**n for n in powers], "format": written}
    )


def value_axis(title: str, data: pd.DataFrame, from_zero: bool = False) -> Spec:
    """Return the encoding of ``y`` over the range of the values and their intervals."""
    values = data[[name for name in ("y", "low", "high") if name in data]].to_numpy(float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = ROOM * (high - low or abs(high) or 1)
    return axis("y", title, domain=[0 if from_zero else low - room, high + room], nice=False)


def tooltip(text: Sequence[str] = ("name", "bits", "class"), exact: Sequence[str] = (), **titles: str) -> list[Spec]:
    """Return what a mark tells of itself, by field: texts, exact numbers (counts, parameters), else four digits."""
    return [{"field": field, "title": title, **_format(field, text, exact)} for field, title in titles.items()]


def _format(field: str, text: Sequence[str], exact: Sequence[str]) -> Spec:
    if field in text:
        return {"type": "nominal"}
    return {"type": "quantitative", "format": "," if field in exact else ",.4~r"}


def lines(data: pd.DataFrame, looks: Looks, x: Spec, y: Spec, tooltip_fields: list[Spec], joined: bool) -> Spec:
    """Return lines with marks, one a name.

    Parameters
    ----------
    data : pandas.DataFrame
        ``name``, ``x`` ascending within a name, ``y``, and perhaps ``low`` and ``high``.
    looks : Looks
    x, y : dict
        From `axis` and `value_axis`.
    tooltip_fields : list of dict
        From `tooltip`.
    joined : bool
        Whether names are at their lines' ends, which are apart; else in the order of the lines' means.
    """
    names, last = list(data["name"].unique()), data.groupby("name", sort=False).last().reset_index()
    at_end = last[last["x"] == data["x"].max()][["name", "x", "y"]].to_dict("records") if joined else []
    means = last if joined else data.groupby("name", sort=False)["y"].mean().reset_index()
    many = len(data) > MOST_MARKED * len(names)
    layers = [
        *([_intervals(x, y, "area" if many else "rule")] if "low" in data else []),
        _lines(data, looks, x, y),
        _points(x, y, tooltip_fields, max(1, len(data) // (MARKS * len(names))) if many else 1),
    ]
    wanted = dict(zip(means["name"], means["y"], strict=True))
    return with_key({"data": {"name": "points"}, "layer": layers}, x, y, wanted, looks, at_end)


def _lines(data: pd.DataFrame, looks: Looks, x: Spec, y: Spec) -> Spec:
    return {
        "mark": {"type": "line"},
        "encoding": {
            "x": x,
            "y": y,
            **by_name("stroke"),
            **looking(list(data["name"].unique()), looks, strokeDash="dash"),
            **picked(),
        },
    }


def _points(x: Spec, y: Spec, tooltip_fields: list[Spec], every: int = 1) -> Spec:
    """Return marks; of many, those at every so many points, counted through all lines so that they are apart."""
    counted = [{"window": [{"op": "row_number", "as": "number"}]}, {"filter": f"datum.number % {every} == 0"}]
    return {
        **({"transform": counted} if every > 1 else {}),
        "mark": {"type": "point"},
        "encoding": {"x": x, "y": y, **by_name("stroke", "fill", "shape"), **picked(), "tooltip": tooltip_fields},
    }


def _intervals(x: Spec, y: Spec, mark: str) -> Spec:
    channel, opacity = ("fill", 0.15) if mark == "area" else ("stroke", 0.6)
    return {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": mark},
        "encoding": {
            "x": x,
            "y": {**y, "field": "low"},
            "y2": {"field": "high"},
            **by_name(channel),
            **picked(opacity, f"{channel}Opacity"),
        },
    }


def cost(
    data: pd.DataFrame, looks: Looks, x: Spec, y: Spec, tooltip_fields: list[Spec], lengths_joined: bool = False
) -> Spec:
    """Return points, one a method and code length, with the Pareto front drawn.

    Parameters
    ----------
    data : pandas.DataFrame
        ``name``, ``x``, ``y``, ``front`` and ``order``, the rank by cost.
    looks : Looks
    x, y : dict
        From `axis` and `value_axis`.
    tooltip_fields : list of dict
        From `tooltip`.
    lengths_joined : bool
        Whether a line joins the code lengths of a method, and steps the front; else the front is ringed and joined.
    """
    front_line: Spec = {
        "mark": {"type": "line", "color": INK, "strokeWidth": 1, "opacity": 0.5},
        "encoding": {"order": {"field": "order", "type": "quantitative"}},
    }
    front_line["mark"] |= {"interpolate": "step-after"} if lengths_joined else {}
    ring = {"mark": {"type": "point", "color": INK, "size": 150, "strokeWidth": 1}}
    front = {
        "transform": [{"filter": "datum.front"}],
        "encoding": {"x": x, "y": y},
        "layer": [front_line, *([] if lengths_joined else [ring])],
    }
    joining = [_lines(data, looks, x, y)] if lengths_joined else []
    spec = {"data": {"name": "points"}, "layer": [front, *joining, _points(x, y, tooltip_fields)]}
    return with_key(spec, x, y, data.groupby("name", sort=False)["y"].max().to_dict(), looks)


def heat_map(classes: Sequence[str], names: Sequence[str], metric: str, middle: float) -> Spec:
    """Return cells of methods by classes; numbers are in them where there are few classes."""
    encoding = {
        "x": {"field": "class", "type": "nominal", "sort": list(classes), "title": "class",
              "axis": {"labelAngle": 0 if len(classes) <= 20 else -90, "labelOverlap": True}},
        "y": {"field": "name", "type": "nominal", "sort": list(names), "title": None},
    }  # fmt: skip
    cells = {
        "mark": {"type": "rect"},
        "encoding": {
            "color": {"field": "y", "type": "quantitative", "title": metric, "scale": {"scheme": "cividis"}},
            "tooltip": tooltip(exact=("n",), name="method", **{"class": "class"}, y=metric, n="queries"),
        },
    }
    numbers = {
        "mark": {"type": "text", "fontSize": 10},
        "encoding": {
            "text": {"field": "y", "type": "quantitative", "format": ".2f"},
            "color": {"condition": {"test": f"datum.y > {middle:.6f}", "value": "#000001"}, "value": "#FFFFFE"},
        },
    }
    return {
        "data": {"name": "points"},
        "width": "container",
        "height": 20 * len(names),
        "encoding": encoding,
        "layer": [cells, *([numbers] if len(classes) <= 12 else [])],
    }


def scatter(data: pd.DataFrame, looks: Looks, title: str) -> Spec:
    """Return a map of points without axes, marked by name; the key is in the order of the looks."""
    blank = {"ticks": False, "labels": False, "grid": False, "domain": False}
    x, y = axis("x", "first component", zero=False, axis=blank), value_axis("second component", data)
    spec = {
        "data": {"name": "points"},
        "layer": [_points(x, {**y, "axis": blank}, tooltip(name=title))],
    }
    return with_key(spec, x, {**y, "axis": blank}, dict.fromkeys(looks, y["scale"]["domain"][1]), looks)
