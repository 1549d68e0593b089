"""Figures as files, of the size of a column of a two-column paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import vl_convert

from hashbench.errors import InputError
from hashbench.files.writing import as_input_error, writable_directory, write_atomically
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.figures.charts import CONFIG
from hashbench.reports.page.figures.figure import Figure, rows_of_table
from hashbench.reports.page.figures.key import wrapped
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.setting import Setting

INCHES, PIXELS, TITLE_CHARACTERS = 3.3, 400, 60
"""The width of a column, the pixels of a page that it shows, and the characters of a title's line."""
FONTS = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first comes with vl-convert; the others have its widths."""
MOST_OF_PREFIX = 60
"""Characters of a file's name that tell its setting."""
WRITERS: dict[str, Callable[[str], bytes]] = {
    "png": lambda svg: vl_convert.svg_to_png(svg, ppi=300),
    "svg": str.encode,
    "pdf": lambda svg: _in_order(vl_convert.svg_to_pdf(svg)),
}


def plot(directory: Path, out_dir: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw the figures of a run's report, without those of the codes themselves.

    Parameters
    ----------
    directory : Path
        The run's.
    out_dir : Path
        Made if it is not there.
    formats : sequence of {"png", "svg", "pdf"}

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        A format is unknown, no record ended well, or the files cannot be written.
    """
    wanted = list(dict.fromkeys(name.strip().lower() for name in formats))
    unknown = [name for name in wanted if name not in WRITERS]
    if unknown or not wanted:
        raise InputError(f"--format {unknown[0] if unknown else ''}: expected one or more of {', '.join(WRITERS)}")
    settings = settings_of_run(directory)
    writable_directory(out_dir, "--to")
    return write_figures(settings, figures_of(settings, codes=False), out_dir, wanted)


def write_figures(
    settings: Sequence[Setting], figures: Sequence[Sequence[Figure]], directory: Path, formats: Sequence[str]
) -> list[Path]:
    """Write each figure of each setting, and return the paths.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    written: dict[str, list[Path]] = {}
    for setting, members in zip(settings, figures, strict=True):
        prefix = f"{slug(setting.title)[:MOST_OF_PREFIX]}_" if len(settings) > 1 else ""
        about = setting.dataset + ("" if setting.provenance == "official" else f", {setting.provenance}")
        for figure in members:
            stem = _unused(slug(prefix + figure.title), written)
            drawn = _svg(figure, f"{about}: {figure.title}")
            written[stem] = [directory / f"{stem}.{extension}" for extension in formats]
            for path, extension in zip(written[stem], formats, strict=True):
                with as_input_error(path):
                    write_atomically(path, WRITERS[extension](drawn))
    return [path for paths in written.values() for path in paths]


def _svg(figure: Figure, title: str) -> str:
    """Return the figure in points: drawn in a page's pixels, and made smaller as a whole."""
    spec = {
        **figure.spec,
        "title": wrapped(title, TITLE_CHARACTERS).split("\n"),
        "width": PIXELS,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "datasets": {**figure.spec.get("datasets", {}), "points": rows_of_table(figure.data)},
        "background": "white",
        "config": {**CONFIG, "font": FONTS, "title": {"fontSize": 12, "fontWeight": "normal"}},
    }
    scale = INCHES * 72 / PIXELS
    return re.sub(
        r'width="([\d.]+)" height="([\d.]+)"',
        lambda match: f'width="{float(match[1]) * scale:.2f}" height="{float(match[2]) * scale:.2f}"',
        vl_convert.vegalite_to_svg(spec),
        count=1,
    )


def _in_order(pdf: bytes) -> bytes:
    """Return a PDF file with its lists of resources sorted: vl-convert writes them in an order that changes."""
    lists = rb"(?m)(?:^ +/[a-z]+\d+ \d+ 0 R\n)+"
    return re.sub(lists, lambda match: b"".join(sorted(match[0].splitlines(keepends=True))), pdf)


def slug(name: str) -> str:
    """Return a name that is a plain file name on every system, and in LaTeX."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[:120]


def _unused(stem: str, used: Container[str]) -> str:
    """Return a name that is not used yet: the stem itself, or the stem with a number."""
    number = 2
    unique = stem
    while unique in used:
        unique, number = f"{stem}-{number}", number + 1
    return unique
