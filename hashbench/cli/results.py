"""The commands on results, from ``hashbench status`` and ``show`` to ``publish``, ``bundle`` and ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashbench.cli.common import PluginOption, one_of
from hashbench.errors import InputError


def status(directory: Annotated[Path, typer.Argument(help="Output directory of a run.")]) -> None:
    """Show how many cells are done, failed, running and missing; works during a run, too."""
    from hashbench.reports.console import open_console
    from hashbench.reports.print_status import print_status
    from hashbench.runs.status import read_status

    print_status(read_status(directory), open_console())


def show(
    source: Annotated[Path, typer.Argument(metavar="FILE_OR_RUN", help="A leaderboard, or a run's directory.")],
    form: Annotated[str, typer.Option("--format", help="rich, markdown, latex, csv or html.")] = "rich",
    methods: Annotated[str, typer.Option(help="Labels, comma-separated, in the order of the rows.")] = "",
    bits: Annotated[str, typer.Option(help="Code lengths, comma-separated.")] = "",
    metric: Annotated[str, typer.Option(help="Comma-separated; the headline ones by default.")] = "",
) -> None:
    """Show results as a table to paste: best in bold, * if not separable from it, mean ± std over seeds."""
    from hashbench.reports.console import open_console
    from hashbench.reports.papers.formats import print_grids, to_csv, to_html, to_latex, to_markdown
    from hashbench.reports.papers.grid import chosen
    from hashbench.reports.papers.sources import grids_of
    from hashbench.runs.requested.grid import parse_integers, split_names

    writers = {"markdown": to_markdown, "latex": to_latex, "csv": to_csv, "html": to_html}
    one_of("--format", form, ("rich", *writers))
    names = split_names(metric, "--metric") if metric else []
    labels = split_names(methods, "--methods") if methods else []
    lengths = parse_integers(bits, "--bits", 1, 2**16) if bits else []
    grids = chosen(grids_of(source, names), labels, lengths)
    if form == "rich":
        print_grids(grids, open_console())
    else:
        print(writers[form](grids), end="")


def plot(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    to: Annotated[Path | None, typer.Option(help="Folder for the figures; DIRECTORY/plots by default.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated: png, svg, pdf.")] = "png",
) -> None:
    """Draw for a column of a paper: PR curves, P@N, scores against bits, cost and parameters, training curves."""
    from hashbench.reports.page.figures.files import plot as draw

    for path in draw(directory, to or directory / "plots", formats.split(",")):
        print(path)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Output directory of a run.")],
    second: Annotated[
        Path | None, typer.Argument(metavar="RUN_B", help="Output directory of another run; RUN_A by default.")
    ] = None,
    methods: Annotated[
        str, typer.Option(help="One label in both runs, or one of A and one of B; by default all labels in both.")
    ] = "",
    metrics: Annotated[str, typer.Option(help="Comma-separated; the headline ones by default.")] = "",
    csv: Annotated[Path | None, typer.Option(help="Also write the rows to this file.")] = None,
) -> None:
    """Test which differences between two runs, or two methods of a run, are significant."""
    from hashbench.files.writing import as_input_error, table_bytes, writable_file, write_atomically
    from hashbench.records.store import open_results
    from hashbench.reports.console import open_console
    from hashbench.reports.print_differences import print_differences
    from hashbench.results.compare_runs import compare_runs
    from hashbench.runs.requested.grid import split_names

    if csv:
        writable_file(csv, "--csv", ".csv", [])
    a, b = open_results(first), open_results(second or first)
    named = split_names(methods, "--methods") if methods else []
    requested = split_names(metrics, "--metrics") if metrics else []
    frame = compare_runs(a, b, named, requested)
    print_differences(frame, open_console())
    if csv:
        with as_input_error(csv):
            write_atomically(csv, table_bytes(frame))
        print(csv)


def audit(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    csv: Annotated[Path | None, typer.Option(help="Also write a row per record and convention to this file.")] = None,
) -> None:
    """Score a run's codes under every convention of the literature."""
    from hashbench.files.writing import writable_file
    from hashbench.progress import progress
    from hashbench.records.store import open_results
    from hashbench.reports.audit import audit as audit_records
    from hashbench.reports.audit import print_audit, write_csv
    from hashbench.reports.console import open_console

    if csv:
        writable_file(csv, "--csv", ".csv", [])
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
    to: Annotated[Path, typer.Option(help="Directory of the leaderboards.")] = Path("leaderboards"),
    shared_timings: Annotated[
        bool, typer.Option("--shared-timings", help="Also publish timings that were measured while other cells ran.")
    ] = False,
    same_codes: Annotated[
        bool,
        typer.Option(
            "--same-codes",
            help="Keep rows whose method's code has changed, where the runs give the same codes for their first seed.",
        ),
    ] = False,
) -> None:
    """Score the codes of runs again and merge their records into leaderboards/<dataset>.csv."""
    from hashbench.records.store import open_results
    from hashbench.reports.leaderboards.publish import publish as publish_records
    from hashbench.reports.leaderboards.same_codes import keep_rows_of_same_codes

    stores = [open_results(directory) for directory in directories]
    if same_codes:
        boards = keep_rows_of_same_codes(stores, to, plugin)
    else:
        boards = publish_records(stores, to, plugin, shared_timings=shared_timings)
    for board in boards:
        print(f"{board.path}: {board.n_rows} rows")
        for note in board.notes:
            print(f"  {note}")


def bundle(
    directory: Annotated[Path, typer.Argument(help="Output directory of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .zip file.")] = Path("results.zip"),
    with_labels: Annotated[
        bool, typer.Option("--with-labels", help="Include the labels; only if you may share them.")
    ] = False,
    to: Annotated[str, typer.Option(help="Also upload it: hf:OWNER/NAME.")] = "",
) -> None:
    """Write a run's records and codes to one file, which others can score again (hashbench validate --recompute)."""
    from hashbench.records.store import open_results
    from hashbench.reports.bundles.pack import bundle as pack
    from hashbench.reports.bundles.upload import repository_of, upload

    if to:
        repository_of(to)
    print(f"{output}: {pack(open_results(directory), output, with_labels)} records")
    if to:
        print(upload(output, to))


def validate(
    plugin: PluginOption,
    files: Annotated[list[Path] | None, typer.Argument(help="Leaderboard CSV files.")] = None,
    code: Annotated[bool, typer.Option("--code", help="Also compare each row's source with the code here.")] = False,
    recompute: Annotated[
        Path | None, typer.Option(help="A bundle: score its codes again and compare with its records and FILE.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN_OR_BUNDLE",
            help="Your run, or a bundle: compare its rows with FILE, within the spread between processors.",
        ),
    ] = None,
) -> None:
    """Check leaderboard files: columns, values, order, duplicate rows, and their entries in the JSON files."""
    from hashbench.plugins.registry import Registry
    from hashbench.reports.leaderboards.checks import notes_on, problems_of, stale_rows

    if not files and recompute is None:
        raise InputError("name leaderboard files, or a bundle with --recompute")
    if against is not None and len(files or ()) != 1:
        raise InputError(f"--against {against} is compared with one leaderboard, {len(files or ())} are named")
    bad = 0
    for file in files or ():
        problems = problems_of(file)
        notes = [] if problems else notes_on(file)
        if code and not problems:
            problems, unknown = stale_rows(file, Registry(plugin))
            notes += unknown
        bad += bool(problems)
        _print_checked(file, problems, notes)
    if bad:
        raise InputError(
            f"{bad} of {len(files or ())} leaderboards are not valid{' or not of the code here' if code else ''}"
        )
    if recompute is not None:
        _recompute(recompute, files or [], plugin)
    if against is not None and files:
        _compare(against, files[0], plugin)


def _recompute(bundle: Path, files: list[Path], plugin: list[Path]) -> None:
    from hashbench.reports.bundles.recompute import recompute

    if len(files) > 1:
        raise InputError(f"--recompute {bundle} is compared with one leaderboard, {len(files)} are named")
    done = recompute(bundle, next(iter(files), None), plugin)
    _print_checked(bundle, [], [f"{done.n_records} records: their codes give their metrics", *done.notes])
    if done.problems:
        _print_checked(files[0], done.problems, [])
        raise InputError(
            f"{files[0]} is not what the codes of {bundle} give; --against compares what other processors have computed"
        )


def _compare(source: Path, board: Path, plugin: list[Path]) -> None:
    """Compare a run or a bundle with a leaderboard, within the spread between processors."""
    from hashbench.plugins.registry import Registry
    from hashbench.progress import to_stderr
    from hashbench.records.store import open_results
    from hashbench.reports.bundles.recompute import recompute
    from hashbench.reports.leaderboards.publish import publishable
    from hashbench.reports.leaderboards.reproduced import compare_with_board
    from hashbench.reports.leaderboards.rows_of_records import rows_of

    if source.is_dir():
        known = Registry(plugin).plugins("methods")
        rows, _ = rows_of(publishable([open_results(source)], known, to_stderr), known, "validate")
    else:
        rows = recompute(source, None, plugin).rows
    found = compare_with_board(board, rows)
    kinds = {"equal": found.equal, "within the spread": found.within, "beyond it": found.beyond}
    n_compared = sum(map(len, kinds.values()))
    counts = ", ".join(f"{len(lines)} {kind}" for kind, lines in kinds.items())
    print(f"{source}: {n_compared} rows compared with {board}: {counts}")
    for lines in (*kinds.values(), found.passed_over):
        for line in lines:
            print(f"  {line}")
    print(f"  spread between processors: {found.measured}")
    if not n_compared:
        raise InputError(f"{source} has no row that can be compared with {board}: {found.passed_over[0]}")
    if found.beyond:
        raise InputError(
            f"{len(found.beyond)} of {n_compared} rows of {source} differ from {board} by more than the spread between "
            "processors"
        )


def _print_checked(file: Path, problems: list[str], notes: list[str]) -> None:
    print(f"{file}: {'ok' if not problems else f'{len(problems)} problems'}")
    for line in (*problems, *notes):
        print(f"  {line}")
