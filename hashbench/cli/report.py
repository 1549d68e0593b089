"""The command that makes a page of results: ``hashbench report``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import PluginOption


def report(
    sources: Annotated[
        list[Path], typer.Argument(metavar="RUN_OR_CSV...", help="Output directories of runs, and leaderboards.")
    ],
    plugin: PluginOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page, a .html file.")] = Path("report.html"),
    png: Annotated[Path | None, typer.Option(help="Also write every figure to this folder.")] = None,
    gallery: Annotated[bool, typer.Option("--gallery", help="Show what each method finds for some queries.")] = False,
) -> None:
    """Make one page of tables and figures; it can be sorted and filtered, and needs no network."""
    from hashbench.reports.page.report import report as write_report

    command = shlex.join(["hashbench", *sys.argv[1:]])
    for path in write_report(sources, out, png=png, gallery=gallery, plugins=plugin, command=command):
        print(path)
