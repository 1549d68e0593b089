"""The cells of a run, handed out one at a time: to one worker or to several, beside other runs on the directory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout

from hashbench.runs.asked.options import RunOptions
from hashbench.runs.job import Job
from hashbench.runs.records.record import Record
from hashbench.runs.records.store import Store

LOOK_EVERY_S = 0.5
"""Between two looks whether another run has finished a cell."""
Log = Callable[[str], object]


class Queue:
    """Jobs that wait, and the records of those that have ended.

    Parameters
    ----------
    jobs : sequence of Job
    options : RunOptions
    store : Store
    log : callable
        Receives a line on each job.
    """

    def __init__(self, jobs: Sequence[Job], options: RunOptions, store: Store, log: Log) -> None:
        self.records: dict[str, Record] = {}
        self.stopping = False
        self._jobs, self._options, self._store, self._log = jobs, options, store, log
        self._waiting = deque({job.id: job for job in jobs}.values())
        self._numbers = {job.id: number for number, job in enumerate(self._waiting, 1)}
        self._lock = threading.Lock()

    def title(self, job: Job) -> str:
        """Return a job in words, with its number."""
        several = f" on {job.config['dataset']}" if len({one.setting for one in self._jobs}) > 1 else ""
        return f"[{self._numbers[job.id]}/{len(self._numbers)}] {job.title}{several}"

    @contextmanager
    def take(self) -> Iterator[Job | None]:
        """Hand out a job that nobody has finished and nobody is at; None where there is none any more.

        Its lock is held until the context ends.
        """
        job, lock = self._next()
        try:
            yield job
        finally:
            if lock is not None:
                lock.release()

    def _next(self) -> tuple[Job | None, FileLock | None]:
        while not self.stopping:
            with self._lock:
                for _ in range(len(self._waiting)):
                    job = self._waiting.popleft()
                    lock = self._locked(job)
                    if lock is None:
                        self._waiting.append(job)  # another run is at it
                    elif self._is_settled(job):
                        lock.release()
                    else:
                        return job, lock
                if not self._waiting:
                    break
            time.sleep(LOOK_EVERY_S)
        return None, None

    def _locked(self, job: Job) -> FileLock | None:
        lock = self._store.lock(job.id)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _is_settled(self, job: Job) -> bool:
        """Return whether a job need not be computed; its record is kept then."""
        record = None if self._options.fresh else self._store.read(job.id)
        if record is None or (record.status == "failed" and self._options.retry_failed):
            return False
        if record.status == "failed":
            self._log(f"{self.title(job)}: failed before ({record.error}); --retry-failed runs it again")
        elif self._options.save_models and record.status == "ok" and not self._store.model_path(job.id).is_file():
            self._log(f"{self.title(job)}: in {self._options.out} without its model, run again")
            return False
        else:
            self._log(f"{self.title(job)}: already in {self._options.out}")
        self.records[job.id] = record
        return True
