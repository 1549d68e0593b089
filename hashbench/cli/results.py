"""The commands on results: ``hashbench status``, ``plot``, ``audit``, ``publish`` and ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import PluginOption
from hashbench.errors import InputError


def status(directory: Annotated[Path, typer.Argument(help="Output directory of a run.")]) -> None:
    """Show how many cells are done, failed, running and missing, also while a run goes on."""
    from hashbench.reports.console import open_console
    from hashbench.reports.progress import print_status
    from hashbench.runs.records.status import read_status

    print_status(read_status(directory), open_console())


def plot(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    to: Annotated[Path | None, typer.Option(help="Where the figures go; DIRECTORY/plots by default.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated: png, svg, pdf.")] = "png",
) -> None:
    """Draw PR curves, P@N, mAP against bits and parameters, and training curves; bands: lowest to highest seed."""
    from hashbench.reports.figures import plot as draw
    from hashbench.runs.records.store import open_results

    for path in draw(open_results(directory), to or directory / "plots", formats.split(",")):
        print(path)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Output directory of a run.")],
    second: Annotated[Path | None, typer.Argument(metavar="RUN_B", help="Of another; RUN_A by default.")] = None,
    methods: Annotated[
        str, typer.Option(help="Labels: one that both have, or A's and B's; all that both have by default.")
    ] = "",
    metrics: Annotated[str, typer.Option(help="Comma-separated; the headline ones by default.")] = "",
    csv: Annotated[Path | None, typer.Option(help="Also write the rows.")] = None,
) -> None:
    """Tell which differences between two runs, or two methods of one, are more than chance."""
    from hashbench.files.writing import said_clearly, writable_file, write_atomically
    from hashbench.reports.console import open_console
    from hashbench.reports.differences import print_differences
    from hashbench.runs.records.differences import compare_runs
    from hashbench.runs.records.store import open_results

    if csv:
        writable_file(csv, "--csv", ".csv", [])
    a, b = open_results(first), open_results(second or first)
    frame = compare_runs(a, b, methods, metrics)
    print_differences(frame, open_console())
    if csv:
        with said_clearly(csv):
            write_atomically(csv, frame.to_csv(index=False).encode())
        print(csv)


def audit(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    csv: Annotated[Path | None, typer.Option(help="Also write a row per record and convention.")] = None,
) -> None:
    """Score a run's codes under every convention of the literature: how far apart the readings lie."""
    from hashbench.progress import progress
    from hashbench.reports.audit import audit as audit_records
    from hashbench.reports.audit import print_audit, write_csv
    from hashbench.reports.console import open_console
    from hashbench.runs.records.store import open_results

    store = open_results(directory)
    with progress("audit", sum(record.status == "ok" for record in store)) as bar:
        scores = audit_records(store, bar.advance)
    print_audit(scores, open_console())
    if csv:
        write_csv(scores, csv)
        print(csv)


def publish(
    directories: Annotated[list[Path], typer.Argument(help="Output directories of runs; their methods are compared.")],
    plugin: PluginOption,
    to: Annotated[Path, typer.Option(help="Where the leaderboards are.")] = Path("leaderboards"),
    shared_timings: Annotated[
        bool, typer.Option("--shared-timings", help="Also publish timings that were measured beside other cells.")
    ] = False,
) -> None:
    """Score the codes of runs again and merge their records into leaderboards/<dataset>.csv."""
    from hashbench.reports.leaderboards.publish import publish as publish_records
    from hashbench.runs.records.store import open_results

    stores = [open_results(directory) for directory in directories]
    for board in publish_records(stores, to, plugin, shared_timings=shared_timings):
        print(f"{board.path}: {board.n_rows} rows")
        for note in board.notes:
            print(f"  {note}")


def validate(
    files: Annotated[list[Path], typer.Argument(help="Leaderboard CSV files.")],
    plugin: PluginOption,
    code: Annotated[bool, typer.Option("--code", help="Also compare each row's source with the code here.")] = False,
) -> None:
    """Check leaderboard files: columns, values, order, no row twice, and what they name in the JSON files beside."""
    from hashbench.plugins.registry import Registry
    from hashbench.reports.leaderboards.checks import problems_of, stale_rows

    bad = 0
    for file in files:
        problems, notes = problems_of(file), list[str]()
        if code and not problems:
            problems, notes = stale_rows(file, Registry(plugin))
        bad += bool(problems)
        print(f"{file}: {'ok' if not problems else f'{len(problems)} problems'}")
        for line in (*problems, *notes):
            print(f"  {line}")
    if bad:
        raise InputError(
            f"{bad} of {len(files)} leaderboards are not valid{' or not of the code here' if code else ''}"
        )
