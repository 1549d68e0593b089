"""What a figure of a two-column paper looks like: size, type, colours, legend, file.

Figures are built without pyplot, so that drawing needs no display and leaves no state behind.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from hashbench.errors import InputError
from hashbench.files.writing import write_atomically

LOG_FROM = 20
"""Ratio of the largest to the smallest parameter value from which an axis is logarithmic."""
FORMATS = ("png", "svg", "pdf")
WIDTH, HEIGHT, PANEL_HEIGHT, LEGEND_ROW = 3.3, 2.3, 1.1, 0.14
"""Inches: a column of a two-column paper, a figure without its legend, one of several panels, a legend's line."""
TITLE_CHARACTERS, LEGEND_CHARACTERS, AXIS_CHARACTERS = 56, 46, 45
"""What fits in the width: of a title, of a legend's line, of an axis's tick labels."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by colour-blind readers, without its yellow, too faint on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", "--", "-.", ":")
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names come from files: a dollar sign is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "hashbench",
}
UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata without the time of drawing: the same records give the same files."""


def looks_of(number: int) -> dict[str, Any]:
    """Return the colour, marker and dashes of the n-th line: no two of the first 252 are alike."""
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def new_figure(title: str, n_panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of a column's width, and its panels from top to bottom."""
    height = HEIGHT if n_panels == 1 else 0.6 + PANEL_HEIGHT * n_panels
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(wrapped(title, TITLE_CHARACTERS))
    return figure, list(figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0])


def with_legend(figure: Figure, lines: Mapping[str, Line2D]) -> Figure:
    """Put a legend below the axes, where it hides nothing, and make room for it."""
    names = [wrapped(name, LEGEND_CHARACTERS) for name in lines]
    columns = max(1, min(len(names), (LEGEND_CHARACTERS + 6) // (max(map(len, names)) + 6)))
    # Placeholders first: matplotlib passes over names that begin with an underscore.
    legend = figure.legend(
        list(lines.values()),
        ["name"] * len(names),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.6,
        columnspacing=1.2,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    rows = sum(name.count("\n") + 1 for name in names[::columns])
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * (rows + 1))
    return figure


def set_ticks(axes: Axes, places: Sequence[float], names: list[str]) -> None:
    """Name places on the horizontal axis, upright where the names would run into each other."""
    axes.set_xticks(places, names)
    drawn = axes.xaxis.get_transform().transform(np.array(places, float))
    room = np.diff(drawn) / max(np.ptp(drawn), 1e-12) * AXIS_CHARACTERS
    needed = [(len(one) + len(other)) / 2 + 1 for one, other in itertools.pairwise(names)]
    if (room < needed).any():
        axes.tick_params(axis="x", labelrotation=90)
    axes.xaxis.set_minor_locator(NullLocator())


def wrapped(text: str, width: int) -> str:
    """Break a text into lines, at commas too: specifications of methods hold no spaces."""
    lines = textwrap.wrap(text.replace(",", ",\0 "), width)
    return "\n".join(lines).replace(",\0 ", ",").replace("\0", "")


def save(figure: Figure, path: Path, extension: str) -> Path:
    """Write a figure whole or not at all, and return its path."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=extension, metadata=UNDATED[extension])
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise InputError(f"--to {path.parent} cannot be written to ({error.strerror})") from error
    return path


def slug(name: str) -> str:
    """Return a name that is a plain file name on every system, and in LaTeX."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[:120]


def unused(stem: str, used: Container[str]) -> str:
    """Return a name that is not used yet: the stem itself, or the stem with a number."""
    number = 2
    unique = stem
    while unique in used:
        unique, number = f"{stem}-{number}", number + 1
    return unique


def scale_for(axes: Axes, values: list[float]) -> None:
    """Choose the scale that spreads a grid's values best; zero keeps a place on every one of them."""
    positive = [value for value in values if value > 0]
    if len(positive) < 2 or min(values) < 0:
        return
    wide = positive[-1] >= LOG_FROM * positive[0]
    if 0 in values and wide:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.7)
    elif 0 not in values and all(float(np.log2(value)).is_integer() for value in values):
        axes.set_xscale("log", base=2)
    elif 0 not in values and wide:
        axes.set_xscale("log")
