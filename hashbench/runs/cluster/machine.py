"""What a worker of a cluster does: it lets a killable child of its own compute a cell, and sends back what that gives.

Functions here run in the dask worker's process, which no cell's code may enter.
"""

from __future__ import annotations

import platform
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import InputError
from hashbench.files.cache import cache_directory
from hashbench.files.cores import n_cores
from hashbench.progress import Watch
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.runs.cluster.plugin_files import PluginFiles, unpack
from hashbench.runs.cluster.versions import difference, own_versions
from hashbench.runs.job import Job
from hashbench.runs.recording import now
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workers.died import failed_record
from hashbench.runs.workers.worker import JobRaised, Worker, WorkerDied

LOOK_EVERY_S = 0.5
"""Between two looks whether a cell is still wanted."""
ENDING = ("closing", "closed", "stopping", "stopped", "failed")
"""Names of the states of a dask worker that has lost its scheduler, or has been told to end."""


@dataclass(frozen=True)
class Work:
    """A cell that travels to a worker.

    Attributes
    ----------
    key : str
        Names it in the scheduler.
    topic : str
        Under which the client hears of the lines that it prints.
    folder : str
        Names the run's folder on each machine, where checkpoints are kept.
    job : Job
    options : RunOptions
        The client's.
    plugins : tuple of PluginFiles
    versions : dict from str to str
        The client's.
    at_once : dict from str to int
        By machine how many cells it may compute at once.
    """

    key: str
    topic: str
    folder: str
    job: Job
    options: RunOptions
    plugins: tuple[PluginFiles, ...]
    versions: dict[str, str]
    at_once: dict[str, int]


@dataclass(frozen=True)
class Answer:
    """What a worker sends back.

    Attributes
    ----------
    record : Record or None
        None where the cell was refused.
    arrays : dict of ndarray
    model : bytes or None
        The file of the trained method, if the run keeps it.
    refused : str
        Why no cell of this run can be computed there.
    """

    record: Record | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    model: bytes | None = None
    refused: str = ""


def facts(dask_worker: Any) -> dict[str, Any]:
    """Return what a client has to know of a worker before it sends cells."""
    state = dask_worker.state
    return {
        "host": platform.node(),
        "threads": state.nthreads,
        "resources": dict(state.total_resources),
        "versions": own_versions(),
    }


def compute_here(work: Work) -> Answer:
    """Compute a cell; whatever becomes of it, this process goes on."""
    from distributed import get_worker

    worker = get_worker()
    different = difference(work.versions, own_versions())
    if different:
        return Answer(refused=f"the worker on {platform.node()} has {different}; install the same versions")
    try:
        folder = _cluster_folder(work.options)
        options = replace(
            work.options,
            out=folder / work.folder,
            plugins=tuple(unpack(one, folder / "plugins") for one in work.plugins),
            jobs=work.at_once.get(platform.node(), worker.state.nthreads),
        )
        log = partial(worker.log_event, work.topic)
        with _child(options, log) as child, _killed_when_dropped(child, worker, work.key):
            return _computed(child, work.job, options)
    except InputError as error:
        return Answer(refused=f"on {platform.node()}: {error}")


def _computed(child: Worker, job: Job, options: RunOptions) -> Answer:
    """Return what a child gives, through a store that the machine has to itself."""
    from hashbench.runs.cluster.inputs import prepare_inputs
    from hashbench.runs.tasks import compute

    store, started = Store(options.out), now()
    limit = None if options.max_memory is None else options.max_memory * 1e6
    with store.lock(job.id), ExitStack() as cleanup:
        store.open_for_writing()
        store.models.mkdir(exist_ok=True)
        cleanup.callback(_remove_results, store, job)
        try:
            try:
                child.call(prepare_inputs, job, options, max_memory=limit, user=job.method)
            except (WorkerDied, JobRaised) as error:
                raise WorkerDied(f"its features cannot be made: {error}", error.output) from error
            record = child.call(compute, job, options, timeout=options.timeout, max_memory=limit, user=job.method)
        except (WorkerDied, JobRaised) as error:
            return Answer(failed_record(job, options, started, error))
        model = store.model_path(job)
        return Answer(
            record,
            dict(store.arrays(job.id)) if record.status == "ok" else {},
            model.read_bytes() if options.save_models and model.is_file() else None,
        )


def _remove_results(store: Store, job: Job) -> None:
    """Remove what the client gets; what a failed cell has got done stays for its next try."""
    for path in (*store.folder.glob(f"{job.id}.*"), store.model_path(job)):
        path.unlink(missing_ok=True)


def _cluster_folder(options: RunOptions) -> Path:
    return cache_directory(options.cache_dir) / "cluster"


_idle: dict[int, list[Worker]] = {}
"""Warm children by their number of threads."""


@contextmanager
def _child(options: RunOptions, log: Callable[[str], object]) -> Iterator[Worker]:
    """Lend a warm child, or a new one; the cells that a machine computes at once share its cores."""
    threads = max(1, n_cores() // options.jobs)
    try:
        child = _idle.setdefault(threads, []).pop()
    except IndexError:
        child = Worker(threads)
    child.watch = Watch(log)
    try:
        yield child
    finally:
        _idle[threads].append(child)


@contextmanager
def _killed_when_dropped(child: Worker, worker: Any, key: str) -> Iterator[None]:
    """Kill a child whose cell nobody waits for any more: client or scheduler is gone, or another computes it."""
    ended, dropped = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled" or worker.status.name in ENDING:
                dropped.set()
                child.kill()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if dropped.is_set():  # it may have been killed between two calls, unnoticed
            child.close()


def tidy(options: RunOptions, name: str) -> None:
    """End the children that wait for work, and remove a run's folder.

    It stays where it holds checkpoints of failed cells, or another run with the same output directory uses it.
    """
    for children in _idle.values():
        while children:
            children.pop().close()
    folder = _cluster_folder(options) / name
    used = any(Store(folder).is_locked(path.stem) for path in (folder / "locks").glob("*.lock"))
    if not used and not any((folder / "work").glob("*")):
        shutil.rmtree(folder, ignore_errors=True)
