"""Prints what a run would compute: ``hashbench run --dry-run``."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from hashbench.errors import InputError
from hashbench.records.record import GIVEN, Record
from hashbench.records.store import Store
from hashbench.reports.console import new_table, open_console, print_note
from hashbench.reports.estimate import estimate_s, in_words
from hashbench.runs.job import Job, Setting, training_views
from hashbench.runs.plan import Unplanned, plan
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workbench import open_workbench


def print_plan(options: RunOptions, console: Console | None = None) -> None:
    """Print the jobs of a run, which are done already, and what has to be made for the others.

    Nothing is written, neither to the output directory nor to the cache of features; data is prepared. Of several
    settings, those whose data or backbone is not here are listed with what they lack, after the plan of the others.

    Parameters
    ----------
    options : RunOptions
    console : rich.console.Console, optional

    Raises
    ------
    InputError
        An option cannot be used, or data or a backbone is not available.
    """
    console = console or open_console()
    options = replace(options, out=options.out.absolute())
    unplanned: list[Unplanned] = []
    jobs = plan(options, unplanned)
    if len(unplanned) == 1 and not jobs:
        raise unplanned[0].reason
    if jobs:
        _print_jobs(jobs, options, console)
    for one in unplanned:
        print_note(f"{_words(one.setting)}: {one.n_cells} jobs not planned: {one.reason}", console)
    if unplanned:
        names = ", ".join(_words(one.setting) for one in unplanned)
        raise InputError(f"--dry-run: data or backbone of {names} is not here; what they lack is listed above")


def _words(setting: Setting) -> str:
    chosen = (setting.dataset, setting.protocol, setting.backbone)
    return " ".join(part for part in chosen if part is not None)


def _print_jobs(jobs: list[Job], options: RunOptions, console: Console) -> None:
    store = Store(options.out)
    table = new_table(console)
    for column in ("job", "data", "needs", "id"):
        table.add_column(column, overflow="fold")
    table.add_column("state", no_wrap=True)
    done = {record.id: record for record in store}
    missing = []
    for job in jobs:
        state = _state(job, done[job.id].status if job.id in done and not options.fresh else "")
        missing += [job] if state in ("to run", "failed before") else []
        table.add_row(escape(job.title), escape(job.config["protocol"]), escape(_needs(job)), job.id[:12], state)
    console.print(table)
    for line in _to_make(missing, options):
        print_note(line, console)
    print_note(f"{len(jobs)} jobs, {len(missing)} to run; records: {options.out}", console)
    if missing:
        print_note(_time(missing, list(done.values()), options.jobs), console)


def _time(missing: list[Job], records: list[Record], n_workers: int) -> str:
    """Return a line on how long the missing cells will take, features and views not counted."""
    known = [seconds for seconds in estimate_s(missing, records) if seconds is not None]
    without = len(missing) - len(known)
    if not known:
        return "time: no estimate, as no cell of these methods on this data has been timed here"
    at_once = f", {n_workers} at once" if n_workers > 1 else ""
    rest = f"; no estimate for the other {without}" if without else ""
    return f"time: about {in_words(sum(known) / n_workers)} for {len(known)} cells{at_once}, by earlier timings{rest}"


def _state(job: Job, status: str) -> str:
    if job.skip or job.broken:
        return "cannot run"
    return {"ok": "done", "skipped": "done (skipped)", "failed": "failed before"}.get(status, "to run")


def _needs(job: Job) -> str:
    if job.skip or job.broken:
        return job.skip or job.broken
    views = "" if job.needs.n_views is None else f"{job.needs.n_views} views (seed {job.needs.views_seed})"
    others = sorted(set(job.needs.extras) - {"views", "log", "device", "devices", "workdir"})
    return ", ".join(["features", *([views] if views else []), *others])


def _to_make(jobs: list[Job], options: RunOptions) -> list[str]:
    """Return a line on each set of features and each view pool that jobs need, and whether it is there."""
    lines = []
    for setting in dict.fromkeys(job.setting for job in jobs):
        bench = open_workbench(setting, options)
        share = bench.source.cached_features()
        backbone = bench.source.key["backbone"] or GIVEN
        lines.append(f"features of {len(bench.dataset):,} items, {bench.dataset.name}, {backbone}: {share}")
        for of, n_views, views_seed in training_views(jobs):
            if of == setting:
                pool = bench.source.cached_views(n_views, views_seed)
                n_images = len(bench.dataset.split.train)
                lines.append(
                    f"{n_views} views of {n_images:,} images (seed {views_seed}), {bench.dataset.name}: {pool}"
                )
    return lines
