"""Makes the record of a cell: what was computed, how it ended, and where and when that was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hashbench.files.paths import printable
from hashbench.records.record import Record
from hashbench.runs.environment import environment
from hashbench.runs.job import Job
from hashbench.runs.requested.options import RunOptions

LONGEST_NAME = 100
"""Characters of the name of a file or folder of data."""


def now() -> str:
    """Return the time as records have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


NOT_RUN = {"gpu": None}


def new_record(
    job: Job, options: RunOptions, started: str, ran_on: Mapping[str, Any] = NOT_RUN, **values: Any
) -> Record:
    """Return the record of a cell that ends now.

    Parameters
    ----------
    job : Job
    options : RunOptions
    started : str
        From `now`, when the cell began.
    ran_on : mapping
        From `hashbench.runs.gpu.GpuUse.told`, where the cell was run and its process tells of it.
    **values
        Fields of the record; its status is ``ok`` unless they say otherwise.
    """
    where = job.setting.data_dir  # its last part alone: a record holds no places of the machine
    return Record(
        id=job.id,
        config=job.config,
        label=job.label,
        provenance=job.provenance,
        data_file="" if where is None else printable(where.absolute().name, LONGEST_NAME),
        read=list(job.read),
        environment=environment() | dict(ran_on) | {"jobs": options.jobs, "command": options.command},
        started=started,
        date=now(),
        **{"status": "ok", "uses_labels": job.uses_labels, **values},
    )
