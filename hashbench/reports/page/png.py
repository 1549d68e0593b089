"""The figures of a page as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hashbench.files.writing import said_clearly, write_atomically
from hashbench.reports.figure_style import slug, unused
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.needs import need
from hashbench.reports.page.page import columns_of
from hashbench.reports.page.setting import Setting

WIDTH, SCALE = 420, 3
"""Pixels of a figure before scaling, and by how much it is enlarged."""


def write_png(settings: Sequence[Setting], figures: Sequence[Sequence[Figure]], directory: Path) -> list[Path]:
    """Write each figure of each setting, and return the paths.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    paths: dict[str, Path] = {}
    for number, members in enumerate(figures):
        prefix = f"{settings[number].dataset}_{number + 1}_" if len(settings) > 1 else ""
        for figure in members:
            stem = unused(slug(f"{prefix}{figure.panel}_{figure.title}"), paths)
            paths[stem] = directory / f"{stem}.png"
            with said_clearly(paths[stem]):
                write_atomically(paths[stem], _drawn(figure))
    return list(paths.values())


def _drawn(figure: Figure) -> bytes:
    columns = columns_of(figure.data)
    points = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    spec = {
        **figure.spec,
        "title": {"text": figure.title, "limit": WIDTH},
        "width": WIDTH,
        "datasets": {"points": points},
        "background": "white",
        "config": {"view": {"stroke": None}, "legend": {"symbolLimit": 0}, "axis": {"titleFontWeight": "normal"}},
    }
    return need("vl_convert").vegalite_to_png(spec, scale=SCALE)
