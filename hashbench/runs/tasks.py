"""What a worker process does for a run: plan it, make features, compute a cell.

A run names these functions and calls them in its workers. What they need is imported when they run, so that the run
itself stays light and starts while its worker imports.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.errors import InputError
from hashbench.features.hardware.deterministic import deterministic_algorithms
from hashbench.files.writing import as_input_error
from hashbench.progress import doing, to_stderr
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.runs.job import Job
from hashbench.runs.requested.options import RunOptions

if TYPE_CHECKING:
    from hashbench.runs.cell import Outcome
    from hashbench.runs.workbench import Workbench


def warm_up() -> None:
    """Import what the other functions need, before a clock runs."""
    import hashbench.models.model_files
    import hashbench.runs.cell
    import hashbench.runs.plan  # noqa: F401


def plan_run(options: RunOptions) -> list[Job]:
    """Return the jobs of a run, say what was read, and keep the labels that they are scored by, older records' too.

    Raises
    ------
    InputError
        An option, a name or a value that the user gave cannot be used. Nothing was written.
    """
    from hashbench.runs.plan import plan

    jobs = plan(options)
    for line in dict.fromkeys(line for job in jobs for line in job.read):
        to_stderr(line)
    keep_relevance(jobs, options)
    return jobs


def keep_relevance(jobs: Sequence[Job], options: RunOptions) -> None:
    """Keep the labels or true neighbours that jobs are scored by in the output directory.

    Raises
    ------
    InputError
        The directory cannot be written.
    """
    from hashbench.runs.workbench import open_workbench

    store = Store(options.out)
    for setting in dict.fromkeys(job.setting for job in jobs):
        bench = open_workbench(setting, options)
        for data in {job.config["data"] for job in jobs if job.setting == setting}:
            dataset = bench.dataset if data == bench.dataset.fingerprint else bench.held_out[0]
            store.write_relevance(data, dataset.relevance())


def make_features(job: Job, pools: Sequence[tuple[int, int]], options: RunOptions) -> None:
    """Compute what is not cached yet of the features of a job's setting and of pools, each (n_views, views_seed).

    Raises
    ------
    InputError
        The features or the views cannot be made.
    """
    from hashbench.runs.gpu import free_memory
    from hashbench.runs.workbench import open_workbench

    source = open_workbench(job.setting, options, job.config["features"]).source
    try:
        with deterministic_algorithms(options.deterministic):
            source.features()
            for n_views, views_seed in pools:
                source.views(n_views, views_seed)
    finally:  # a method trains in this process next, another's cells beside it
        source.release()
        free_memory()


def compute(job: Job, options: RunOptions) -> Record:
    """Run a cell and write what it gives.

    Raises
    ------
    InputError
        The features cannot be made, or the output directory cannot be written.
    """
    from hashbench.runs.workbench import open_workbench

    bench, store = open_workbench(job.setting, options, job.config["features"]), Store(options.out)
    workdir = store.workdir(job.id)
    outcome = _outcome(job, options, bench, workdir)
    store.write(outcome.record, outcome.arrays)
    if outcome.record.finished:  # what a failed cell has got done is kept for its next try
        shutil.rmtree(workdir, ignore_errors=True)
    if options.save_models and outcome.method is not None:
        _keep_model(outcome, bench.dataset.image_shape, store)
    return outcome.record


def score_again(job: Job, options: RunOptions) -> Record:
    """Give a finished record the added metrics that it lacks, from its kept codes, and return it.

    Raises
    ------
    InputError
        Its codes or labels cannot be read, or the output directory cannot be written.
    """
    from hashbench.plugins.registry import Registry
    from hashbench.runs.added_metrics import scored_again

    store = Store(options.out)
    record = store.read(job.id)
    assert record is not None
    doing("score")
    return scored_again(record, job, store, Registry(options.plugins), options.retry_failed)


def time_again(job: Job, options: RunOptions) -> Record:
    """Run a finished cell once more, give its record the timings of now, and return that.

    The record keeps its timings where the codes come out different: they would be another model's.

    Raises
    ------
    InputError
        The features cannot be made, or the output directory cannot be written.
    """
    from hashbench.runs.cell import forget_fitted
    from hashbench.runs.workbench import open_workbench

    bench, store = open_workbench(job.setting, options, job.config["features"]), Store(options.out)
    record = store.read(job.id)
    assert record is not None
    workdir = store.workdir(job.id)
    shutil.rmtree(workdir, ignore_errors=True)  # a checkpoint would hide a part of the training
    forget_fitted()
    again = _outcome(job, options, bench, workdir).record
    shutil.rmtree(workdir, ignore_errors=True)
    if again.codes_sha256 != record.codes_sha256:
        why = again.error or "its codes came out different"
        to_stderr(f"  its timings stay those beside other cells: {why}")
        return record
    record.timings, record.environment = again.timings, again.environment
    store.write(record)
    return record


def _outcome(job: Job, options: RunOptions, bench: Workbench, workdir: Path) -> Outcome:
    """Run a cell; one that fails leaves the next cells the memory of the GPU."""
    from hashbench.runs.cell import run_job
    from hashbench.runs.gpu import free_memory

    with deterministic_algorithms(options.deterministic):
        outcome = run_job(job, options, bench, workdir, _log_epoch)
    if outcome.record.status == "failed":
        free_memory()
    return outcome


def _log_epoch(text: str) -> None:
    doing(text, logged=True)


def _keep_model(outcome: Outcome, image_shape: Sequence[int | None] | None, store: Store) -> None:
    """Save what a cell has trained; what cannot be saved is said to be so and leaves its record as it is."""
    from hashbench.models.model_files import save_model

    record, method = outcome.record, outcome.method
    assert method is not None
    path = store.model_path(record)
    try:
        with as_input_error(path):
            save_model(path, method, record.config, label=record.label, record=record.id, image_shape=image_shape)
    except InputError:
        raise
    except Exception as error:  # a plugin may keep anything in its attributes
        to_stderr(f"  its model cannot be saved: {type(error).__name__}: {error}")
