"""The cells of a run, handed out one at a time: to one worker or to several, while other runs may use the directory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout

from hashbench.progress import Watch
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.runs.job import Job
from hashbench.runs.requested.options import RunOptions

LOOK_EVERY_S = 0.5
"""Seconds between two checks whether another run has finished a cell."""


class Queue:
    """Jobs that wait, and the records of those that have ended.

    Parameters
    ----------
    jobs : sequence of Job
    options : RunOptions
    store : Store
    watch : Watch
        Shows how each job gets on.
    """

    def __init__(self, jobs: Sequence[Job], options: RunOptions, store: Store, watch: Watch) -> None:
        self.records: dict[str, Record] = {}
        self.stopping = False
        self.to_score_again: set[str] = set()
        """Ids of jobs whose records lack nothing but added metrics, which their kept codes give."""
        self._options, self._store, self._watch = options, store, watch
        self._waiting = deque({job.id: job for job in jobs}.values())
        self._numbers = {job.id: number for number, job in enumerate(self._waiting, 1)}
        self._several = len({job.setting for job in jobs}) > 1
        self._lock = threading.Lock()
        watch.planned(len(self._waiting))

    def title(self, job: Job) -> str:
        """Return a job in words, with its number."""
        several = f" on {job.config['dataset']}" if self._several else ""
        return f"[{self._numbers[job.id]}/{len(self._numbers)}] {job.title}{several}"

    @contextmanager
    def take(self) -> Iterator[Job | None]:
        """Hand out a job that is not finished and not being computed; None where there is none any more.

        Its lock is held until the context ends.
        """
        job, lock = self._next()
        try:
            if job is not None:
                self._watch.started(self.title(job))
            yield job
        finally:
            if lock is not None:
                lock.release()

    def keep(self, job: Job, record: Record, how: str) -> None:
        """Keep the record of a job that has ended, and show ``how`` that was."""
        self.records[job.id] = record
        self._watch.ended(self.title(job), how, record.status == "failed")

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
        if record is None or (record.status != "ok" and self._options.retry_failed):
            return False
        if record.status != "ok":
            before = f"{self.title(job)}: {record.status} before ({record.error}); --retry-failed runs it again"
            self._watch.settled(before, record.status == "failed")
        elif self._options.save_models and record.status == "ok" and not self._store.model_path(job).is_file():
            self._watch(f"{self.title(job)}: in {self._options.out} without its model, run again")
            return False
        elif lacks := job.lacks(record, self._options.retry_failed):
            keeps_codes = not record.is_quantizer
            how = "its codes are scored again" if keeps_codes else "run again, as its codes are not kept"
            self._watch(f"{self.title(job)}: in {self._options.out} without {', '.join(lacks)}: {how}")
            self.to_score_again |= {job.id} if keeps_codes else set()
            return False
        else:
            self._watch.settled(f"{self.title(job)}: already in {self._options.out}", False)
        self.records[job.id] = record
        return True
