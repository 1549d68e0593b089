"""What computes the cells of a run: worker processes, or the run's process for debuggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hashbench.files.cores import n_cores
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workers.gpus import shared_out, visible_gpus
from hashbench.runs.workers.worker import Worker


class Caller(Protocol):
    """What computes: a worker process, or this one."""

    def call(self, function: Any, *arguments: Any, timeout: float | None, max_memory: float | None, user: str) -> Any:
        """Return ``function(*arguments)``, computed for a user, such as a method."""

    def abort(self) -> None:
        """End a call that another thread waits for, at once."""

    def close(self) -> None:
        """End."""


class InProcess:
    """Computes in this process, for debuggers."""

    def call(self, function: Any, *arguments: Any, timeout: float | None, max_memory: float | None, user: str) -> Any:
        """Return ``function(*arguments)``; there is no limit, and one process for all."""
        return function(*arguments)

    def abort(self) -> None:
        """End nothing: there is no other thread."""

    def close(self) -> None:
        """End nothing."""


def caller_of(options: RunOptions, log: Callable[[str], object], gpus: str | None = None) -> Caller:
    """Return what computes cells: this process, or a worker process that sees some GPUs."""
    if options.in_process:
        return InProcess()
    return Worker(None if options.jobs == 1 else max(1, n_cores() // options.jobs), log, gpus)


def gpus_of(options: RunOptions) -> list[str | None]:
    """Return which GPUs each worker sees; None are those of this process."""
    if options.jobs == 1 or options.device not in ("auto", "cuda"):
        return [None] * options.jobs
    return shared_out(visible_gpus(), options.jobs, options.devices)
