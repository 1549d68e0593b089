"""How long cells will take, from the times of cells that have been computed before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hashbench.records.record import Record
from hashbench.runs.job import Job


def estimate_s(jobs: Sequence[Job], records: Iterable[Record]) -> list[float | None]:
    """Return for each job the seconds that cells of its method took before, or None where there was none.

    It is the median over the seeds at the nearest code length, of cells with the same parameters on the same data and
    features, from the call of ``fit`` to the scores.

    Parameters
    ----------
    jobs : sequence of Job
    records : iterable of Record
    """
    times: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for record in records:
        if "cell_s" in record.timings:
            by_bits = times.setdefault(_alike(record.label, record.config), {})
            by_bits.setdefault(record.config["n_bits"], []).append(record.timings["cell_s"])
    return [_nearest(times.get(_alike(job.label, job.config), {}), job.n_bits) for job in jobs]


def _alike(label: str, config: dict[str, Any]) -> tuple[str, ...]:
    return label, config["data"], str(config["features"]["backbone"])


def _nearest(by_bits: dict[int, list[float]], n_bits: int) -> float | None:
    if not by_bits:
        return None
    return float(np.median(by_bits[min(by_bits, key=lambda known: abs(known - n_bits))]))


def in_words(seconds: float) -> str:
    """Return a time in words, to the precision that an estimate has."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
