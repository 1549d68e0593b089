"""The command ``hashbench score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders whose names say what they hold, such as tst_binary.npy."),
    ] = None,
    query_codes: Annotated[str | None, typer.Option(help="A file, or FILE:NAME for one of its arrays.")] = None,
    database_codes: Annotated[str | None, typer.Option(help="A file, or FILE:NAME.")] = None,
    query_labels: Annotated[str | None, typer.Option(help="A file, or FILE:NAME.")] = None,
    database_labels: Annotated[str | None, typer.Option(help="A file, or FILE:NAME.")] = None,
    neighbors: Annotated[
        str | None, typer.Option(help="Database rows of each query's true neighbours, in place of labels.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(min=1, help="Code length, for packed codes of no whole number of bytes.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Comma-separated; the usual ones by default.")] = "",
    audit: Annotated[
        bool, typer.Option("--audit", help="Also print mAP under every convention of the literature.")
    ] = False,
    printed: Annotated[
        str | None,
        typer.Option(help="A score that a script printed for these codes: also print which conventions give it."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the metrics, or the conventions, to this file.")] = None,
) -> None:
    """Score codes that exist, whatever made them: .npy, .npz, .mat, .pt, HDF5, parquet, CSV or text."""
    from hashbench.codes.score import score as score_codes
    from hashbench.files.writing import as_input_error, table_bytes, writable_file, write_atomically
    from hashbench.progress import to_stderr
    from hashbench.reports.audit import print_conventions
    from hashbench.reports.console import open_console
    from hashbench.reports.scores import metrics_frame, print_metrics, print_readings

    if csv:
        writable_file(csv, "--csv", ".csv", [])
    done = score_codes(
        *(sources or ()),
        query_codes=query_codes,
        database_codes=database_codes,
        query_labels=query_labels,
        database_labels=database_labels,
        neighbors=neighbors,
        bits=bits,
        metrics=metrics,
        audit=audit or printed is not None,
    )
    for line in (done.read_as, *done.notes, *done.findings):
        to_stderr(f"score: {line}")
    console = open_console()
    print_metrics(done, console)
    if done.conventions is not None:
        print_conventions(done.conventions, console)
        if printed is not None:
            print_readings(done.conventions, printed, console)
    if csv:
        with as_input_error(csv):
            write_atomically(csv, table_bytes(metrics_frame(done) if done.conventions is None else done.conventions))
        print(csv)
