"""The command ``hashbench import``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from hashbench.cli.options import takes
from hashbench.runs.imported.options import ImportOptions


@takes(ImportOptions)
def import_codes(options: ImportOptions) -> None:
    """Score codes that your own program made for a protocol, and keep them as records beside those of runs."""
    from hashbench.files.paths import printable
    from hashbench.progress import to_stderr
    from hashbench.records.store import Store
    from hashbench.reports.console import open_console
    from hashbench.reports.tables import print_tables
    from hashbench.runs.imported.importing import import_codes as import_into
    from hashbench.runs.imported.importing import records_beside

    options = replace(options, command=shlex.join(["hashbench", *sys.argv[1:]]))
    records = import_into(options, lambda line: to_stderr(printable(f"import: {line}", 1000)))
    console, store = open_console(), Store(options.out)
    print_tables(records_beside(records, options.out), console, store)
    console.print(f"{len(records)} records and results.csv: {options.out}", markup=False, highlight=False)
