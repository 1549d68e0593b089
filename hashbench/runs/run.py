"""A run: a grid of cells, resumable, each cell recorded the moment it ends."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from filelock import Timeout

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory
from hashbench.models.saved import save_model
from hashbench.progress import to_stderr
from hashbench.runs.cell import Outcome, run_job
from hashbench.runs.job import Job
from hashbench.runs.options import RunOptions
from hashbench.runs.plan import plan
from hashbench.runs.record import Record
from hashbench.runs.results import write_results
from hashbench.runs.store import Store
from hashbench.runs.workbench import open_workbench

RESULTS_EVERY_S = 2.0
"""Between two writings of results.csv while a run goes on."""
LOOK_EVERY_S = 0.5
"""Between two looks whether another run has finished a cell."""
Log = Callable[[str], None]


def run(options: RunOptions, log: Log = to_stderr) -> list[Record]:
    """Run a grid of cells.

    Parameters
    ----------
    options : RunOptions
    log : callable
        Receives progress lines.

    Returns
    -------
    list of Record
        One per cell, in the grid's order; those that were finished before are read, not computed.

    Raises
    ------
    InputError
        Something the user gave cannot be used; nothing was written then.
    """
    options = replace(options, out=options.out.absolute())
    store = Store(options.out, log)
    store.open_for_writing()
    if options.save_models:
        writable_directory(store.models, "--out")
    jobs = plan(options)
    _keep_labels(jobs, options, store)
    records: dict[str, Record] = {}
    waiting, written = deque(enumerate(jobs, 1)), time.monotonic()
    while waiting:
        number, job = waiting.popleft()
        record = _settled(job, options, store, f"[{number}/{len(jobs)}] {job.title}", log, records)
        if record is None:  # another run is computing it: take the next, and come back
            if all(_is_locked(store, other) for _, other in waiting):
                time.sleep(LOOK_EVERY_S)
            waiting.append((number, job))
            continue
        records[job.id] = record
        if time.monotonic() - written > RESULTS_EVERY_S:
            write_results(store, final=False)
            written = time.monotonic()
    write_results(store)
    return [records[job.id] for job in jobs]


def _keep_labels(jobs: Sequence[Job], options: RunOptions, store: Store) -> None:
    """Keep the labels that cells are scored by, also where their records are older than they are."""
    for setting in dict.fromkeys(job.setting for job in jobs):
        bench = open_workbench(setting, options)
        for data in {job.config["data"] for job in jobs if job.setting == setting}:
            dataset = bench.dataset if data == bench.dataset.fingerprint else bench.held_out[0]
            store.write_relevance(data, dataset.relevance())


def _settled(
    job: Job, options: RunOptions, store: Store, what: str, log: Log, done: dict[str, Record]
) -> Record | None:
    """Return a cell's record, computing it where it is missing; None where another run is at it."""
    try:
        with store.lock(job.id).acquire(timeout=0):
            record = None if options.fresh and job.id not in done else store.read(job.id)
            lacks_model = options.save_models and record is not None and _lacks_model(record, store)
            if record is not None and record.finished and not lacks_model:
                log(f"{what}: already in {options.out}")
                return record
            log(f"{what}: in {options.out} without its model, run again" if lacks_model else what)
            record = compute(job, options, store, log)
            log(f"{what}: {summary(record)}")
            return record
    except Timeout:
        return None


def _is_locked(store: Store, job: Job) -> bool:
    try:
        with store.lock(job.id).acquire(timeout=0):
            return False
    except Timeout:
        return True


def compute(job: Job, options: RunOptions, store: Store, log: Log) -> Record:
    """Run a cell and write what it gives; only the record stays in memory."""
    bench, workdir = open_workbench(job.setting, options), store.workdir(job.id)
    outcome = run_job(job, options, bench, workdir, log)
    store.write(outcome.record, outcome.arrays)
    if outcome.record.finished:  # what a failed cell has got done is kept for its next try
        shutil.rmtree(workdir, ignore_errors=True)
    if options.save_models and outcome.method is not None:
        _keep_model(outcome, bench.dataset.image_shape, store, log)
    return outcome.record


def _lacks_model(record: Record, store: Store) -> bool:
    return record.status == "ok" and not store.model_path(record.id).is_file()


def _keep_model(outcome: Outcome, image_shape: Sequence[int | None] | None, store: Store, log: Log) -> None:
    """Save a cell's trained method; one that cannot be saved is said to be so and leaves its record as it is."""
    record, method = outcome.record, outcome.method
    assert method is not None
    try:
        save_model(
            store.model_path(record.id),
            method,
            record.config,
            label=record.label,
            record=record.id,
            image_shape=image_shape,
        )
    except OSError as error:
        raise InputError(f"{store.model_path(record.id)} cannot be written ({error.strerror})") from error
    except Exception as error:  # a plugin may keep anything in its attributes
        log(f"  its model cannot be saved: {type(error).__name__}: {error}")


def summary(record: Record) -> str:
    """Return how a cell ended, in one line."""
    if record.status != "ok":
        return f"{record.status}: {record.error}"
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
    return f"{scores}  (fit {record.timings['fit_s']:.2f} s)"
