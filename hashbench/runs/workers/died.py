"""The record of a cell that its worker process did not live to write."""

from __future__ import annotations

from hashbench.records.record import Record
from hashbench.runs.job import Job
from hashbench.runs.recording import new_record
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.workers.worker import JobRaised, WorkerDied


def failed_record(job: Job, options: RunOptions, started: str, error: WorkerDied | JobRaised) -> Record:
    """Return the record of a cell whose worker process has died, or has raised what no cell should.

    Parameters
    ----------
    job : Job
    options : RunOptions
    started : str
        From `now`, when the cell began.
    error : WorkerDied or JobRaised
        From `Worker.call`.
    """
    reason = str(error) if isinstance(error, WorkerDied) else f"unexpected: {error}"
    return new_record(job, options, started, status="failed", error=reason, output=error.output)
