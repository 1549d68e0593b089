"""The command ``hashbench tune``."""

from __future__ import annotations

from dataclasses import replace

import typer

from hashbench.cli.options import takes
from hashbench.cli.run import watch
from hashbench.tuning.options import UNUSED, TuneOptions


@takes(TuneOptions, without=UNUSED)
def tune(options: TuneOptions) -> None:
    """Choose parameters by trials on validation queries, with one budget for all; compare them with the defaults."""
    from hashbench.tuning.tune import tune as tune_methods

    options = replace(options, out=options.out.absolute())  # a plugin may change the working directory
    with watch(options.in_process) as log:
        tuned = tune_methods(options, log)

    from hashbench.reports.console import open_console
    from hashbench.reports.print_tuned import print_tuned

    print_tuned(tuned, options, open_console())
    if tuned.failed:
        raise typer.Exit(1)
