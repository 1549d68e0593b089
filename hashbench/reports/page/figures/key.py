"""The key of a figure: each name with its mark to the right of the axes, as near to its line's end as there is room."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression

from hashbench.reports.page.figures.looks import INK, Looks

Spec = dict[str, Any]
HEIGHT, LINE = 300, 13
"""Pixels: of the axes, unless the key needs more, and of a line of the key."""
CHARACTERS, LIMIT = 22, 150
"""Characters of a line of the key, and the pixels at which what cannot be broken is cut."""
MARK_AT, TEXT_AT = 15, 23
"""Pixels between the axes and the key's marks and texts."""
PICK = {"name": "pick", "select": {"type": "point", "fields": ["name"]}}
"""A click on a name in the key picks it."""


def by_name(*channels: str) -> Spec:
    """Return encodings of the field ``name``; the key says what each name looks like, once for all layers."""
    return {channel: {"field": "name", "type": "nominal", "legend": None} for channel in channels}


def picked(opacity: float = 1.0, channel: str = "opacity") -> Spec:
    """Return an encoding that dims what is not picked in the key."""
    return {channel: {"condition": {"param": "pick", "value": opacity}, "value": 0.12}}


def with_key(
    spec: Spec, x: Spec, y: Spec, wanted: Mapping[str, float], looks: Looks, ends: Sequence[Spec] = ()
) -> Spec:
    """Return a layered specification with a key, and with axes high enough for it.

    Parameters
    ----------
    spec : dict
        Has ``layer``.
    x, y : dict
        Encodings; that of ``y`` names its domain.
    wanted : mapping from str to float
        The place of each name's label on the vertical axis; labels that would overlap are moved apart.
    looks : Looks
    ends : sequence of dict
        ``name``, ``x`` and ``y`` of the ends of lines that are joined to their labels.
    """
    names = list(wanted)
    texts = [wrapped(name, CHARACTERS) for name in names]
    heights = LINE * np.array([text.count("\n") + 1 for text in texts])
    height = max(HEIGHT, int(heights.sum()))
    low, high = y["scale"]["domain"]
    middles = apart((high - np.array(list(wanted.values()))) / (high - low) * height, heights, height)
    places = high - (middles - (heights - LINE) / 2) / height * (high - low)  # of the first line, with the mark
    end_of = {end["name"]: end for end in ends}
    rows = [
        {"name": name, "text": text, "at": float(place), **end_of.get(name, {})}
        for name, text, place in zip(names, texts, places, strict=True)
    ]
    tooltip_field = {"field": "name", "type": "nominal", "title": "name"}
    at_label = {"x": {"value": "width"}, "y": {**y, "field": "at"}, "tooltip": [tooltip_field], **picked()}
    keyed: list[Spec] = [
        {
            "transform": [{"filter": "isValid(datum.y)"}],
            "mark": {"type": "rule", "x2Offset": MARK_AT - 4, "strokeWidth": 0.7},
            "encoding": {
                "x": x,
                "x2": {"value": "width"},
                "y": y,
                "y2": {"field": "at"},
                **by_name("stroke"),
                **picked(0.6, "strokeOpacity"),
            },
        },
        {
            "mark": {"type": "point", "xOffset": MARK_AT},
            "encoding": {**at_label, **looking(names, looks, stroke="color", fill="fill", shape="shape")},
        },
        {
            "params": [PICK],
            "mark": {
                "type": "text", "xOffset": TEXT_AT, "align": "left", "limit": LIMIT, "lineBreak": "\n", "color": INK,
            },
            "encoding": {**at_label, "text": {"field": "text"}},
        },
    ]  # fmt: skip
    layers = [*spec["layer"], *({"data": {"name": "key"}, **layer} for layer in (keyed if ends else keyed[1:]))]
    return {**spec, "width": "container", "height": height, "layer": layers, "datasets": {"key": rows}}


def looking(names: Sequence[str], looks: Looks, **shown: str) -> Spec:
    """Return encodings that say what names look like: each channel shows the named attribute."""
    scales = {
        channel: {"domain": list(names), "range": [getattr(looks[name], attribute) for name in names]}
        for channel, attribute in shown.items()
    }
    return {channel: {**encoding, "scale": scales[channel]} for channel, encoding in by_name(*shown).items()}


def apart(wanted: np.ndarray, heights: np.ndarray, height: float) -> np.ndarray:
    """Return places as near to the wanted ones, in squares, as labels do not overlap and stay within the height.

    Parameters
    ----------
    wanted, heights : ndarray of shape (n,), float
        The middles of labels, and their heights.
    height : float
        Has room for all labels.

    Returns
    -------
    ndarray of shape (n,), float64
        In the order of ``wanted``.
    """
    order = np.argsort(wanted, kind="stable")
    above = np.cumsum(heights[order]) - heights[order] / 2
    places = np.empty(len(wanted))
    places[order] = isotonic_regression(wanted[order] - above, y_min=0, y_max=height - heights.sum()) + above
    return places


def wrapped(text: str, width: int) -> str:
    """Break a text into lines, at commas too: specifications of methods hold no spaces."""
    lines = textwrap.wrap(text.replace(",", ",\0 "), width, break_long_words=False)
    return "\n".join(lines).replace(",\0 ", ",").replace("\0", "")
