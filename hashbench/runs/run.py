"""A run: a grid of cells, resumable, each in a worker process and recorded the moment it ends."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory
from hashbench.progress import Watch
from hashbench.records.record import Record
from hashbench.records.store import SHARED, Store, remove_leftovers
from hashbench.runs.job import Job, Setting, training_views
from hashbench.runs.queue import Queue
from hashbench.runs.recording import now
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.requested.resolved import write_config
from hashbench.runs.status import write_planned
from hashbench.runs.workers.callers import Caller, caller_of, gpus_of
from hashbench.runs.workers.died import failed_record
from hashbench.runs.workers.gpus import visible_gpus
from hashbench.runs.workers.worker import JobRaised, Worker, WorkerDied

if TYPE_CHECKING:
    from hashbench.runs.cluster.client import Cluster

RESULTS_EVERY_S = 2.0
"""Between two writings of results.csv while a run goes on."""
Log = Callable[[str], object]
PLAIN = Watch()
Result = TypeVar("Result")
Compute = Callable[[Job], Record]
"""Computes one cell at a time, and keeps what it gives."""


def run(options: RunOptions, log: Watch = PLAIN) -> list[Record]:
    """Run a grid of cells.

    Parameters
    ----------
    options : RunOptions
    log : Watch
        Shows how the run gets on.

    Returns
    -------
    list of Record
        One per cell, in the grid's order; those that were finished before are read, not computed.

    Raises
    ------
    InputError
        An option, a name or a value that the user gave cannot be used. Nothing was written.
    KeyboardInterrupt
        The user pressed Ctrl-C: once, and the running cells were finished first, or twice.
    """
    with opened(options, log) as grid:
        jobs = grid.planned()
        with grid.store.lock(SHARED):
            write_config(grid.options, jobs)
        return grid.compute(jobs)


@contextmanager
def opened(options: RunOptions, log: Watch = PLAIN) -> Iterator[Grid]:
    """Start what computes cells, for one grid or for several that follow each other; end it afterwards.

    Parameters
    ----------
    options : RunOptions
    log : Watch

    Raises
    ------
    InputError
        An option cannot be used, or the output directory cannot be written. Nothing was written.
    """
    program = Path(sys.argv[0]).name.replace("__main__.py", "hashbench")
    options = replace(
        options,
        out=options.out.absolute(),
        plugins=tuple(path.absolute() for path in options.plugins),
        datasets=tuple(options.datasets),
        command=options.command or shlex.join([program, *sys.argv[1:]]),
    )
    _refuse_contradictions(options)
    store = Store(options.out, log)
    store.refuse_unwritable()
    with ExitStack() as ending:
        cluster = None
        if options.scheduler is not None:
            from hashbench.runs.cluster.client import Cluster, on_the_machines

            options = on_the_machines(options)
            cluster = ending.enter_context(closing(Cluster(options, store, log)))
        seen = log if cluster is None else _OtherMachines(log)
        callers = [ending.enter_context(closing(caller_of(options, seen, gpus))) for gpus in gpus_of(options)]
        if isinstance(callers[0], Worker):
            callers[0].start()  # it imports while this process does; the others start with their first cells
        yield Grid(options, store, log, callers, cluster)


class _OtherMachines(Watch):
    """Shows what a plan for other machines says, but not which device this one would compute on."""

    def once(self, line: str) -> None:
        """Show nothing."""


def _refuse_contradictions(options: RunOptions) -> None:
    limited = options.timeout is not None or options.max_memory is not None
    if options.scheduler is not None and (options.jobs > 1 or options.in_process or options.exclusive_timing):
        raise InputError(
            "--scheduler: --jobs, --in-process and --exclusive-timing are for one machine; leave them out, and give "
            "each machine of the cluster one worker with one thread where timings matter"
        )
    if options.in_process and (limited or options.jobs > 1):
        raise InputError("--in-process: --timeout, --max-memory and --jobs need worker processes; leave one out")


class Grid:
    """Cells that are planned and computed in the same processes, from `opened`.

    Attributes
    ----------
    options : RunOptions
    store : Store
    """

    def __init__(
        self, options: RunOptions, store: Store, log: Watch, callers: list[Caller], cluster: Cluster | None
    ) -> None:
        self.options, self.store, self.log, self.callers, self.cluster = options, store, log, callers, cluster
        self.written = time.monotonic()
        self.lock, self.scoring = threading.Lock(), threading.Lock()
        self.said_start = options.jobs == 1

    def planned(self) -> list[Job]:
        """Return the jobs that the options ask for.

        Raises
        ------
        InputError
            An option, a name or a value that the user gave cannot be used. Nothing was written.
        """
        from hashbench.runs.tasks import plan_run

        return self.ask(plan_run)

    def ask(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return ``function(options, *arguments)``, computed by a worker, which reads data and plugins.

        Raises
        ------
        InputError
            The function raised it, or its process died.
        """
        options = self.options
        if self.cluster is not None and options.device.startswith("cuda"):
            # The workers need a GPU, this machine does not; and no key of a GPU names a batch.
            options = replace(options, device="auto", devices=1, batch_size=None)
        try:
            return self._call(self.callers[0], function, options, *arguments)
        except WorkerDied as error:
            raise InputError(f"the data cannot be read: {error}; its last output: {error.output[-300:]}") from error

    def compute(self, jobs: Sequence[Job], last: bool = True) -> list[Record]:
        """Compute the cells that are missing and return the records of all.

        Parameters
        ----------
        jobs : sequence of Job
        last : bool
            Whether no more cells follow, so that methods can be compared and cells timed again.

        Raises
        ------
        InputError
            Records cannot be written, or are gone.
        KeyboardInterrupt
            The user pressed Ctrl-C: once, and the running cells were finished first, or twice.
        """
        from hashbench.results.results_csv import write_results

        self.jobs, self.last = jobs, last
        self.features: dict[Setting, tuple[str, str]] = {}
        self.store.open_for_writing()
        remove_leftovers(self.store)
        if self.options.save_models:
            writable_directory(self.store.models, "--out")
        write_planned(self.store, self.jobs)
        self.queue = Queue(self.jobs, self.options, self.store, self.log)
        with _ctrl_c_finishes(self.queue, self.log, watch=not self.options.in_process):
            self._work_all()
        if last and self.options.exclusive_timing and not self.queue.stopping:
            self._time_alone()
        if last or self.queue.stopping:
            write_results(self.store, final=not self.queue.stopping)
        if self.queue.stopping:
            raise KeyboardInterrupt
        self._refuse_lost()
        return [self.queue.records[job.id] for job in self.jobs]

    def _refuse_lost(self) -> None:
        """Raise if a cell has no record in the output directory: somebody has taken it away while the run went on."""
        lost = [self.queue.title(job) for job in self.jobs if not (self.store.folder / f"{job.id}.json").is_file()]
        if lost:
            raise InputError(
                f"{self.options.out}: records are gone, {len(lost)} in all, such as that of {lost[0]}; run again"
            )

    def _work_all(self) -> None:
        """Let all compute cells; where one cannot go on, the others finish the cells that they are at."""
        if self.cluster is None:
            all_compute: list[Compute] = [partial(self._compute, caller) for caller in self.callers]
        else:
            if self.last:
                self.callers[0].close()  # the plan is made
            all_compute = [self._compute_there] * self.cluster.n_slots
        if len(all_compute) == 1:
            self._work(all_compute[0])
            return
        with ThreadPoolExecutor(len(all_compute)) as threads:
            try:
                for future in as_completed([threads.submit(self._work, compute) for compute in all_compute]):
                    future.result()
            except KeyboardInterrupt:  # the second Ctrl-C
                for caller in self.callers:
                    caller.abort()
                if self.cluster is not None:
                    self.cluster.close()
                raise
            except BaseException:
                self.queue.stopping = True
                raise

    def _call(
        self, caller: Caller, function: Any, *arguments: Any, user: str = "", timeout: float | None = None
    ) -> Any:
        limit = None if self.options.max_memory is None else self.options.max_memory * 1e6
        return caller.call(function, *arguments, timeout=timeout, max_memory=limit, user=user)

    def _work(self, compute: Compute) -> None:
        """Compute cells until there is none any more."""
        from hashbench.results.results_csv import write_results

        while True:
            with self.queue.take() as job:
                if job is None:
                    return
                self._say_start()
                record = self._computed(compute, job)
                self.queue.keep(job, record, summary(record))
            with self.lock:
                if time.monotonic() - self.written > RESULTS_EVERY_S:
                    write_results(self.store, final=False)
                    self.written = time.monotonic()

    def _say_start(self) -> None:
        """Say once that worker processes start, which takes seconds where there are many."""
        with self.lock:
            at_once = min(self.options.jobs, len(self.jobs))
            if not self.said_start and at_once > 1:
                self.log(f"up to {at_once} cells at once: their processes start now")
                self._say_shared(at_once)
            self.said_start = True

    def _say_shared(self, at_once: int) -> None:
        """Say so where cells that run at once use the same GPU, and with it its memory."""
        if self.options.device == "cpu" or not any("device" in job.needs.extras for job in self.jobs):
            return
        devices = self.options.devices
        gpus = len(visible_gpus()) if self.options.device in ("auto", "cuda") else 1
        if gpus and at_once * devices > gpus:
            wanted = f"{at_once * devices} GPUs for {at_once} cells at once"
            self.log(f"--jobs {self.options.jobs}: {wanted}, and {gpus} to use: cells share GPUs and their memory")

    def _computed(self, compute: Compute, job: Job) -> Record:
        """Return a cell's record, whatever becomes of the process that computes it."""
        started = now()
        try:
            record = compute(job)
            if record.id != job.id:
                raise WorkerDied(f"its process answered with another cell's record, of {record.label}", "")
            return record
        except (WorkerDied, JobRaised) as error:
            record = failed_record(job, self.options, started, error)
        self.store.write(record)
        return record

    def _compute(self, caller: Caller, job: Job) -> Record:
        from hashbench.runs.tasks import compute

        if job.id in self.queue.to_score_again:
            return self._scored_again(caller, job)
        if not job.skip and not job.broken:
            reason, output = self._features(caller, job)
            if reason:
                raise WorkerDied(f"its features cannot be made: {reason}", output)
        return self._call(caller, compute, job, self.options, user=job.method, timeout=self.options.timeout)

    def _compute_there(self, job: Job) -> Record:
        """Compute a cell on the cluster; codes that are kept here are scored here."""
        assert self.cluster is not None
        if job.id not in self.queue.to_score_again:
            return self.cluster.compute(job)
        with self.scoring:
            return self._scored_again(self.callers[0], job)

    def _scored_again(self, caller: Caller, job: Job) -> Record:
        from hashbench.runs.tasks import score_again

        return self._call(caller, score_again, job, self.options, user="metrics", timeout=self.options.timeout)

    def _time_alone(self) -> None:
        """Time the cells again that were computed beside others, one by one and with all cores."""
        from hashbench.runs.tasks import time_again

        for caller in self.callers:
            caller.close()
        options = replace(self.options, jobs=1)
        with closing(caller_of(options, self.log)) as caller:
            for job in {job.id: job for job in self.jobs}.values():
                record = self.queue.records[job.id]
                if record.status != "ok" or not record.timings_are_shared:
                    continue
                self.log(f"{self.queue.title(job)}: timed again, alone")
                try:
                    with self.store.lock(job.id):
                        timed = self._call(caller, time_again, job, options, user=job.method, timeout=options.timeout)
                    self.queue.records[job.id] = timed
                except (WorkerDied, JobRaised) as error:
                    self.log(f"{self.queue.title(job)}: its timings stay those beside other cells: {error}")

    def _features(self, caller: Caller, job: Job) -> tuple[str, str]:
        """Make a setting's features, once and without a time limit.

        Return why they cannot be made, or nothing, and the last output.
        """
        from hashbench.runs.tasks import make_features

        with self.lock:
            if (setting := job.setting) not in self.features:
                pools = [(n_views, seed) for of, n_views, seed in training_views(self.jobs) if of == setting]
                try:
                    self._call(caller, make_features, job, pools, self.options, user=job.method)
                    self.features[setting] = "", ""
                except (WorkerDied, JobRaised) as error:  # it would be raised again for every cell
                    self.features[setting] = str(error), error.output
            return self.features[setting]


@contextmanager
def _ctrl_c_finishes(queue: Queue, log: Log, watch: bool) -> Iterator[None]:
    """Let the first Ctrl-C stop the handing out of cells, and the second everything."""
    if not watch or threading.current_thread() is not threading.main_thread():
        yield
        return

    stopped = SimpleQueue[bool]()

    def note(number: int, frame: FrameType | None) -> None:
        if queue.stopping:
            raise KeyboardInterrupt
        queue.stopping = True
        stopped.put(True)

    line = "the cells in flight are finished, then the run ends; Ctrl-C again ends it at once"
    # Not logged by the handler: the code that it interrupts may hold a lock that the display waits for.
    speaker = threading.Thread(target=lambda: stopped.get() and log(line), daemon=True)
    speaker.start()
    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        stopped.put(False)
        speaker.join()


def summary(record: Record) -> str:
    """Return how a cell ended, in one line."""
    if record.status != "ok":
        return f"{record.status}: {record.error}"
    left_out = [f"{name} left out" for name, info in record.added.items() if info.left_out]
    scores = "  ".join([*(f"{name} {value:.4f}" for name, value in record.metrics.items()), *left_out])
    return f"{scores}  (fit {record.timings['fit_s']:.2f} s)"
