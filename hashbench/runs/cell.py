"""One cell: fit, encode, score, and the record of it, made once at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract import BLOCK_ROWS, make_method
from hashbench.errors import Unsupported
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import Evaluation, evaluate
from hashbench.method import HashMethod
from hashbench.progress import doing
from hashbench.runs.asked.options import RunOptions
from hashbench.runs.environment import peak_memory_mb, reset_peak_memory
from hashbench.runs.guard import failure_of, running_plugin
from hashbench.runs.job import Job
from hashbench.runs.plan import all_params
from hashbench.runs.recording import new_record, now
from hashbench.runs.records.record import Record
from hashbench.runs.training import Fitted, fit, given_to, rows_of
from hashbench.runs.workbench import Workbench

ENCODE_ROWS = 128 * BLOCK_ROWS
"""Whole blocks of `HashMethod.encode`, so that codes are those of one call."""
Log = Callable[[str], object]


@dataclass(frozen=True)
class Codes:
    """Packed codes, (n, ceil(n_bits / 8)) uint8, and how many database items were encoded in a second."""

    query: np.ndarray
    database: np.ndarray
    items_per_s: float


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    record : Record
        Whatever happened: a cell that cannot be is ``skipped``, one that raises is ``failed``.
    arrays : dict of ndarray
        Codes, per-query values and curves; empty unless the status is ``ok``.
    method : HashMethod or None
        The trained method; None unless the status is ``ok``.
    """

    record: Record
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    method: HashMethod | None = None


def run_job(job: Job, options: RunOptions, bench: Workbench, workdir: Path, log: Log) -> Outcome:
    """Run one cell.

    Parameters
    ----------
    job : Job
    options : RunOptions
    bench : Workbench
        That of the job's setting.
    workdir : Path
        Where the method may keep checkpoints.
    log : callable
        Receives a line on an epoch now and then.

    Raises
    ------
    InputError
        The features cannot be made; whatever the method does, only its cell ends.
    """
    clock, started = time.perf_counter(), now()
    reset_peak_memory()
    if job.skip:
        return Outcome(new_record(job, options, started, status="skipped", error=job.skip))
    if job.broken:
        return Outcome(new_record(job, options, started, status="failed", error=job.broken))
    given = given_to(job, bench, workdir)
    doing("fit")
    try:
        with running_plugin():
            method_class = bench.registry.find("methods", job.method).load()
            method = make_method(method_class, all_params(job.params, job.n_bits, job.seed))
            fitted = fit(method, given, bench, log)
        if fitted.method.backbone_weights_ is not None:
            fitted.features = bench.source.tuned(fitted.method.backbone_weights_, workdir).features()
        doing("encode")
        with running_plugin():
            codes = encode(fitted)
    except Unsupported as error:
        return Outcome(new_record(job, options, started, status="skipped", error=failure_of(error).partition(": ")[2]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome(new_record(job, options, started, status="failed", error=failure_of(error)))
    doing("score")
    scores = score(codes, fitted)
    values = _measured(job, bench, fitted, codes, scores)
    values["timings"]["cell_s"] = time.perf_counter() - clock
    per_query = {f"per_query:{name}": one for name, one in scores.per_query.items()}
    arrays = {**_packed(codes), **per_query, **curves(scores.histograms)}
    return Outcome(new_record(job, options, started, **values), arrays, fitted.method)


def encode(fitted: Fitted) -> Codes:
    """Return the codes of database and queries; rows are gathered a bounded number at a time."""
    method, data, split = fitted.method, fitted.features.data, fitted.dataset.split
    method.encode(rows_of(data, split.database[:2048]))
    blocks, seconds = [], 0.0
    for start in range(0, len(split.database), ENCODE_ROWS):
        rows = rows_of(data, split.database[start : start + ENCODE_ROWS])
        started = time.perf_counter()
        blocks.append(method.encode(rows))
        seconds += time.perf_counter() - started
    return Codes(method.encode(rows_of(data, split.query)), np.concatenate(blocks), len(split.database) / seconds)


def score(codes: Codes, fitted: Fitted) -> Evaluation:
    """Return the metrics of the data set's protocol."""
    dataset = fitted.dataset
    return evaluate(
        codes.query,
        codes.database,
        metrics=dataset.protocol.metrics,
        n_bits=fitted.method.n_bits,
        **dataset.relevance(),
    )


def _measured(job: Job, bench: Workbench, fitted: Fitted, codes: Codes, scores: Evaluation) -> dict[str, Any]:
    """Return what a record says of a cell that ended well."""
    timings = {
        "features_s": fitted.features.seconds,
        "fit_s": fitted.fit_s,
        "encode_items_per_s": codes.items_per_s,
        "search_queries_per_s": bench.search_rate(job.n_bits, codes.query, codes.database),
    }
    if fitted.views_s is not None:
        timings["views_s"] = fitted.views_s
    if fitted.features.images_per_s is not None:
        # One image after the other through backbone and hash function, each at its measured rate.
        timings["encode_images_per_s"] = 1 / (1 / fitted.features.images_per_s + 1 / codes.items_per_s)
    return {
        "metrics": dict(scores),
        "timings": timings,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "training": fitted.training,
        "codes_sha256": {name: hashlib.sha256(one.tobytes()).hexdigest() for name, one in _packed(codes).items()},
        "uses_labels": fitted.uses_labels,
    }


def _packed(codes: Codes) -> dict[str, np.ndarray]:
    return {"query_codes": codes.query, "database_codes": codes.database}
