"""The client's side of a cluster: it sends cells to dask workers and keeps what they send back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import platform
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.errors import InputError, describe_error
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.runs.cluster.machine import Answer, Work, compute_here, facts, tidy
from hashbench.runs.cluster.plugin_files import pack
from hashbench.runs.cluster.versions import difference, own_versions
from hashbench.runs.job import Job
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workers.worker import WorkerDied

if TYPE_CHECKING:
    from distributed import Client, Future

ANSWER_WITHIN_S = 8
LOOK_EVERY_S = 5.0
"""Between two looks whether the cluster has workers."""
Log = Callable[[str], object]


class Cluster:
    """A dask cluster that computes cells.

    Parameters
    ----------
    options : RunOptions
    store : Store
        Receives what the workers send back.
    log : callable
        Receives the lines that cells print for people.

    Attributes
    ----------
    n_slots : int
        How many cells it computes at once: a thread of a worker each, or with ``--device cuda`` a GPU.

    Raises
    ------
    InputError
        The scheduler does not answer, has no worker that could compute, or runs other versions than the client.
    """

    def __init__(self, options: RunOptions, store: Store, log: Log) -> None:
        self.options, self._store, self._log = options, store, log
        self._plugins = tuple(pack(path) for path in options.plugins)
        self._versions = own_versions()
        self._resources = {"GPU": options.devices} if options.device.startswith("cuda") else {}
        self._client = _connected(str(options.scheduler))
        try:
            workers = self._checked_workers()
        except BaseException:
            self._client.close()
            raise
        self._at_once: Counter[str] = Counter()
        for worker in workers.values():
            self._at_once[worker["host"]] += slots_of(worker, self._resources)
        self.n_slots = self._at_once.total()
        self._folder = hashlib.sha256(f"{platform.node()}:{options.out}".encode()).hexdigest()[:16]
        self._topic = f"hashbench-{uuid.uuid4().hex}"
        self._client.subscribe_topic(self._topic, lambda event: log(event[1]))
        log(f"cluster: workers: {len(workers)}, machines: {len(self._at_once)}, cells at once: {self.n_slots}")

    def _checked_workers(self) -> dict[str, dict[str, Any]]:
        """Return what the workers say of themselves, by address; the scheduler reads what it passes on to them."""
        name = self.options.scheduler
        try:
            self._client.wait_for_workers(1, timeout=ANSWER_WITHIN_S)
        except TimeoutError:
            raise InputError(
                f"--scheduler {name} has no workers; start some: dask worker {name} --nthreads 1"
            ) from None
        try:
            self._client.run_on_scheduler(own_versions)
        except Exception as error:
            raise InputError(
                f"--scheduler {name}: hashbench cannot be used there ({describe_error(error)}); start the scheduler in "
                "the environment of the workers"
            ) from error
        workers = self._client.run(facts, on_error="return")
        for address, worker in workers.items():
            if isinstance(worker, BaseException):
                raise InputError(
                    f"worker {address}: hashbench cannot be used there ({describe_error(worker)}); install the same "
                    "version on all machines"
                )
            different = difference(self._versions, worker["versions"])
            if different:
                raise InputError(
                    f"worker {address} on {worker['host']} has {different}: results could differ; install the same "
                    "versions on all machines and start the workers again"
                )
        if not any(slots_of(worker, self._resources) for worker in workers.values()):
            raise InputError(
                f"--device cuda: no worker of {name} offers {self.options.devices} GPU; start workers with "
                f"--resources GPU={self.options.devices}, or leave --device out"
            )
        return workers

    def compute(self, job: Job) -> Record:
        """Return the record of a cell that some worker computes, and keep it with all that belongs to it.

        A worker that dies has the cell done by another; what happens in its child is the cell's own end.

        Raises
        ------
        WorkerDied
            Every worker that was given the cell has died.
        InputError
            A machine cannot compute cells of this run, the scheduler is gone, or the output cannot be written.
        """
        answer = self._answer(job)
        if answer.record is None:
            raise InputError(f"--scheduler {self.options.scheduler}: {answer.refused}")
        self._store.write(answer.record, answer.arrays)
        if answer.model is not None:
            path = self._store.model_path(job)
            with as_input_error(path):
                write_atomically(path, answer.model)
        return answer.record

    def _answer(self, job: Job) -> Answer:
        from distributed.scheduler import KilledWorker

        key = f"{self._topic}-{job.id}"
        work = Work(
            key, self._topic, self._folder, job, self.options, self._plugins, self._versions, dict(self._at_once)
        )
        try:
            future = self._client.submit(compute_here, work, key=key, resources=self._resources or None, pure=False)
            return self._waited(future)
        except KilledWorker as error:
            raise WorkerDied(
                f"the dask workers that computed it died, {error.allowed_failures + 1} of them", ""
            ) from error
        except Exception as error:
            lost = isinstance(error, CancelledError | OSError) or self._client.status != "running"
            what = "is gone" if lost else f"has failed ({describe_error(error)})"
            raise InputError(
                f"--scheduler {self.options.scheduler} {what}; what is finished is kept: give the command again"
            ) from error

    def _waited(self, future: Future) -> Answer:
        """Return a future's result; a cluster that has lost all its workers is said once, and may get new ones."""
        said = False
        while True:
            try:
                return future.result(timeout=LOOK_EVERY_S)
            except TimeoutError:
                if not self._client.nthreads() and not said:
                    said = True
                    self._log(f"--scheduler {self.options.scheduler} has no workers any more; waiting for new ones")

    def close(self) -> None:
        """Let go of the cluster: cells that are not finished are ended there."""
        with suppress(Exception):
            if self._client.status == "running":
                self._client.run(tidy, self.options, self._folder, on_error="ignore")
        dask_log = logging.getLogger("distributed.client")
        dask_log.disabled = self._client.status != "running"  # a client that looks for its scheduler ends with an error
        with suppress(Exception):
            self._client.close()
        dask_log.disabled = False


def slots_of(worker: Mapping[str, Any], resources: Mapping[str, int]) -> int:
    """Return how many cells a worker can compute at once, each of which takes a thread and the resources."""
    offered = worker["resources"]
    return min(worker["threads"], *(int(offered.get(name, 0) // each) for name, each in resources.items()), sys.maxsize)


def _connected(scheduler: str) -> Client:
    """Return a client of a scheduler, by its address or by the file that it has written."""
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs dask.distributed: pip install 'hashbench[cluster]'") from error
    try:
        path = Path(scheduler)
        address = json.loads(path.read_text("utf-8"))["address"] if path.is_file() else scheduler
        with ThreadPoolExecutor(1) as thread:  # whoever calls may have an event loop of its own
            thread.submit(asyncio.run, _identity(address)).result()
        return Client(address, timeout=ANSWER_WITHIN_S, set_as_default=False)
    except Exception as error:
        raise InputError(
            f"--scheduler {scheduler} does not answer ({describe_error(error)}); expected HOST:PORT of a running dask "
            "scheduler, or its scheduler file"
        ) from error


async def _identity(address: str) -> None:
    """Ask a scheduler for its name: a client would wait for ever where a port takes connections and says nothing."""
    from distributed.core import connect
    from distributed.security import Security

    async with asyncio.timeout(ANSWER_WITHIN_S + 1):
        comm = await connect(address, timeout=ANSWER_WITHIN_S, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            kind = (await comm.read())["type"]
        finally:
            comm.abort()
    if kind != "Scheduler":
        raise ValueError(f"it is a dask {kind}")


def on_the_machines(options: RunOptions) -> RunOptions:
    """Return a run's options with absolute paths: they are those of the workers' machines too."""
    named = {name: getattr(options, name) for name in ("data_dir", "cache_dir", "splits", "weights")}
    return replace(options, **{name: path.absolute() for name, path in named.items() if path is not None})
