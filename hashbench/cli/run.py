"""The commands ``hashbench run`` and ``tune``."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.options import takes
from hashbench.errors import InputError
from hashbench.options import check_options
from hashbench.progress import Watch
from hashbench.runs.requested.options import RunOptions
from hashbench.tuning.options import UNUSED, TuneOptions

Config = Annotated[
    Path | None,
    typer.Argument(help="A TOML file with these options; the command line overrides it.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be computed.")]


@takes(RunOptions)
def run(options: RunOptions, context: typer.Context, config: Config = None, dry_run: DryRun = False) -> None:
    """Run methods on data sets and print the tables; finished cells are not computed again."""
    if config is None:
        _run(options, dry_run)
        return
    from hashbench.runs.requested.config import configured, located

    given = {name for name in context.params if _is_given(context, name)} & {one.name for one in fields(RunOptions)}
    options = configured(config, options, given)
    try:
        check_options(options)
        _run(options, dry_run)
    except InputError as error:
        raise located(error, config, given) from error


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _run(options: RunOptions, dry_run: bool) -> None:
    if dry_run:
        from hashbench.reports.print_plan import print_plan

        print_plan(options)
        return
    from hashbench.runs.run import run as run_grid

    options = replace(options, out=options.out.absolute())  # a plugin may change the working directory
    with _watch(options.in_process) as log:
        records = run_grid(options, log)

    from hashbench.records.store import Store
    from hashbench.reports.console import open_console
    from hashbench.reports.tables import print_models, print_tables

    scored = [record for record in records if record.status == "ok"]
    console, store = open_console(), Store(options.out)
    print_tables(records, console, store)
    console.print(f"records and results.csv: {options.out}", markup=False, highlight=False)
    if options.save_models and scored:
        print_models(records, store, console)
    if all(record.status == "skipped" for record in records):
        raise InputError(f"no cell could run: {records[0].error}")
    left_out = any(info.left_out for record in scored for info in record.added.values())
    if left_out or any(record.status == "failed" for record in records):
        raise typer.Exit(1)
    if options.save_models and not all(store.model_path(record).is_file() for record in scored):
        raise typer.Exit(1)


@takes(TuneOptions, without=UNUSED)
def tune(options: TuneOptions) -> None:
    """Choose parameters by trials on validation queries, with one budget for all; compare them with the defaults."""
    from hashbench.tuning.tune import tune as tune_methods

    options = replace(options, out=options.out.absolute())  # a plugin may change the working directory
    with _watch(options.in_process) as log:
        tuned = tune_methods(options, log)

    from hashbench.reports.console import open_console
    from hashbench.reports.print_tuned import print_tuned

    print_tuned(tuned, options, open_console())
    if tuned.failed:
        raise typer.Exit(1)


def _watch(in_process: bool) -> AbstractContextManager[Watch]:
    """Return what shows the run: a live display on a terminal, unless a debugger may want that, and lines elsewhere."""
    if in_process or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return nullcontext(Watch())
    from rich.console import Console

    from hashbench.reports.live import LiveWatch

    return LiveWatch(Console(stderr=True))
