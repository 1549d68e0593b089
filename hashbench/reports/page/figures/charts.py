"""Vega-Lite specifications: what each kind of figure looks like, without its data.

Colours, marks and dashes are those of the figures for papers. Names of methods are data here, never a part of an
expression, so that nothing which they hold is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hashbench.reports.figure_style import COLORS, DASHES, MARKERS

Spec = dict[str, Any]
INK = "#010101"
"""Text and lines of this colour follow the page's: white in the dark."""
CROSS = "M-.8,-1L0,-.2L.8,-1L1,-.8L.2,0L1,.8L.8,1L0,.2L-.8,1L-1,.8L-.2,0L-1,-.8Z"
SHAPES = dict(
    zip(
        MARKERS,
        ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", CROSS, "triangle-left",
         "triangle-right"),
        strict=True,
    )
)  # fmt: skip
STROKES = dict(zip(DASHES, ([1, 0], [5, 3], [6, 2, 1.5, 2], [1.5, 2]), strict=True))
PICK = {"name": "pick", "select": {"type": "point", "fields": ["name"]}, "bind": "legend"}
"""A click in the legend picks a name."""
DIMMED = 0.12
"""Opacity of what is not picked in the legend."""


def looks(names: Sequence[str], channel: str, title: str | None = None) -> Spec:
    """Return an encoding that tells names apart by ``color``, ``shape`` or ``strokeDash``, the same in every figure."""
    cycles: dict[str, list[Any]] = {
        "color": [INK if color == "#000000" else color for color in COLORS],
        "shape": list(SHAPES.values()),
        "strokeDash": list(STROKES.values()),
    }
    cycle = cycles[channel]
    values = [cycle[number % len(cycle)] for number in range(len(names))]
    return {
        "field": "name",
        "type": "nominal",
        "scale": {"domain": list(names), "range": values},
        "title": title,
        "legend": {"symbolSize": 70, "symbolOpacity": 1, "symbolStrokeWidth": 0},
    }


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


def tooltip(text: Sequence[str] = ("name", "bits", "class"), exact: Sequence[str] = (), **titles: str) -> list[Spec]:
    """Return what a mark tells of itself, by field: texts, exact numbers (counts, parameters), else four digits."""
    return [{"field": field, "title": title, **_told(field, text, exact)} for field, title in titles.items()]


def _told(field: str, text: Sequence[str], exact: Sequence[str]) -> Spec:
    if field in text:
        return {"type": "nominal"}
    return {"type": "quantitative", "format": "," if field in exact else ",.4~r"}


def _color_and_shape(names: Sequence[str], title: str | None = None) -> Spec:
    return {"color": looks(names, "color", title), "shape": looks(names, "shape", title)}


def _picked(opacity: float = 1.0) -> Spec:
    return {"opacity": {"condition": {"param": "pick", "value": opacity}, "value": DIMMED}}


def lines(names: Sequence[str], x: Spec, y: Spec, told: list[Spec], banded: bool) -> Spec:
    """Return lines with marks, one a name, over the fields ``x`` and ``y``.

    Parameters
    ----------
    names : sequence of str
        All that a legend holds.
    x, y : dict
        From `axis`.
    told : list of dict
        From `tooltip`.
    banded : bool
        Whether intervals, ``low`` to ``high``, are drawn.
    """
    color = looks(names, "color")
    line = {
        "params": [PICK],
        "mark": {"type": "line", "strokeWidth": 1.8, "clip": True},
        "encoding": {
            "x": x,
            "y": y,
            "color": color,
            "strokeDash": looks(names, "strokeDash"),
            **_picked(),
        },
    }
    points = {
        "transform": [{"filter": "datum.marked"}],
        "mark": {"type": "point", "filled": True, "size": 55},
        "encoding": {"x": x, "y": y, **_color_and_shape(names), **_picked(), "tooltip": told},
    }
    interval = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "clip": True},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color, **_picked(0.6)},
    }
    layers = [*([interval] if banded else []), line, points]
    return {"data": {"name": "points"}, "width": "container", "height": 300, "layer": layers}


def cost(names: Sequence[str], x: Spec, y: Spec, told: list[Spec]) -> Spec:
    """Return points, one a method and code length, with the Pareto front ringed and joined."""
    front = {
        "transform": [{"filter": "datum.front"}],
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "line", "color": INK, "strokeWidth": 1, "opacity": 0.6},
             "encoding": {"order": {"field": "order", "type": "quantitative"}}},
            {"mark": {"type": "point", "color": INK, "size": 170, "filled": False, "strokeWidth": 1}},
        ],
    }  # fmt: skip
    points = {
        "params": [PICK],
        "mark": {"type": "point", "filled": True, "size": 65},
        "encoding": {
            "x": x,
            "y": y,
            **_color_and_shape(names),
            **_picked(),
            "tooltip": told,
        },
    }
    return {"data": {"name": "points"}, "width": "container", "height": 320, "layer": [front, points]}


def heat_map(classes: Sequence[str], names: Sequence[str], metric: str, middle: float) -> Spec:
    """Return cells of methods by classes; numbers stand in them where there are few classes."""
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


def scatter(names: Sequence[str], title: str) -> Spec:
    """Return a map of points without axes, coloured and shaped by name."""
    blank = {"ticks": False, "labels": False, "grid": False, "domain": False}
    return {
        "data": {"name": "points"},
        "width": "container",
        "height": 380,
        "params": [PICK],
        "mark": {"type": "point", "filled": True, "size": 28},
        "encoding": {
            "x": axis("x", "first component", zero=False, axis=blank),
            "y": axis("y", "second component", zero=False, axis=blank),
            **_color_and_shape(names, title),
            **_picked(0.75),
            "tooltip": tooltip(name=title),
        },
    }
