"""The command ``hashbench run``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from hashbench.cli.options import takes
from hashbench.errors import InputError
from hashbench.runs.options import RunOptions

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be computed, and compute nothing.")]


@takes(RunOptions)
def run(options: RunOptions, dry_run: DryRun = False) -> None:
    """Run methods on data sets and print the tables; finished cells are not run again."""
    if dry_run:
        from hashbench.reports.planned import print_plan

        print_plan(options)
        return
    from hashbench.reports.console import open_console
    from hashbench.reports.tables import print_models, print_tables
    from hashbench.runs.run import run as run_grid
    from hashbench.runs.store import Store

    options = replace(options, out=options.out.absolute())  # a plugin may change the working directory
    records = run_grid(options)
    scored = [record for record in records if record.status == "ok"]
    console, store = open_console(), Store(options.out)
    print_tables(records, console, store)
    console.print(f"records and results.csv: {options.out}", markup=False, highlight=False)
    if options.save_models and scored:
        print_models(records, store, console)
    if all(record.status == "skipped" for record in records):
        raise InputError(f"no cell could run: {records[0].error}")
    if any(record.status == "failed" for record in records):
        raise typer.Exit(1)
    if options.save_models and not all(store.model_path(record.id).is_file() for record in scored):
        raise typer.Exit(1)
