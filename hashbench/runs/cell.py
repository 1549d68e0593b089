"""One cell: fit, encode, score, and the record of it, made once at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.parameters import make_method
from hashbench.contract.quantizer import Quantizer
from hashbench.contract.values import BLOCK_ROWS
from hashbench.errors import Unsupported
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import Evaluation, evaluate
from hashbench.features.cut import cut
from hashbench.files.cores import steady_threads
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state
from hashbench.progress import doing
from hashbench.records.arrays import VALUES
from hashbench.records.collapse import what_collapsed
from hashbench.records.record import Record
from hashbench.runs.asked.options import RunOptions
from hashbench.runs.environment import peak_memory_mb, reset_peak_memory
from hashbench.runs.gpu import GpuUse
from hashbench.runs.job import Job
from hashbench.runs.plan import all_params
from hashbench.runs.recording import new_record, now
from hashbench.runs.training import Fitted, Given, fit, given_to, rows_of
from hashbench.runs.workbench import TOP, Workbench, searcher

ENCODE_ROWS = 128 * BLOCK_ROWS
"""Whole blocks of `HashMethod.encode`, so that codes are those of one call."""
Log = Callable[[str], object]
Distance = Literal["hamming", "asymmetric"]


@dataclass(frozen=True)
class Codes:
    """Packed codes, (n, ceil(n_bits / 8)) uint8, and how many database items were encoded in a second.

    Attributes
    ----------
    query, database : ndarray
    items_per_s : float
    values : ndarray of shape (n_queries, n_bits), float64, or None
        The real values of the queries, where they are ranked by these.
    """

    query: np.ndarray
    database: np.ndarray
    items_per_s: float
    values: np.ndarray | None = None

    @property
    def ranked(self) -> tuple[np.ndarray, Distance]:
        """What queries are ranked by, codes or values, and the distance's name."""
        return (self.query, "hamming") if self.values is None else (self.values, "asymmetric")


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    record : Record
        Whatever happened: a cell that cannot be is ``skipped``, one that raises is ``failed``.
    arrays : dict of ndarray
        Codes, per-query values and curves; empty unless the status is ``ok``.
    method : HashMethod, Quantizer or None
        The trained one; None unless the status is ``ok``.
    """

    record: Record
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    method: HashMethod | Quantizer | None = None


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
        The features cannot be made. Any failure of the method ends only its cell.
    """
    clock, started = time.perf_counter(), now()
    reset_peak_memory()
    if job.skip:
        return Outcome(new_record(job, options, started, status="skipped", error=job.skip))
    if job.broken:
        return Outcome(new_record(job, options, started, status="failed", error=job.broken))
    given = given_to(job, bench, workdir)
    use = GpuUse(given.extras.get("device", "cpu"), given.extras.get("devices", 1))
    doing("fit")
    try:
        method_class = bench.registry.find(job.kind, job.method).load()  # what it sets there, it has for all its cells
        with kept_state(), use:
            fitted = _fitted(job, options, method_class, given, bench, workdir, log)
            doing("encode")
            with plugin_code(), steady_threads(fitted.method.portable and job.distance == "hamming"):
                codes = encode(fitted, job.distance)
    except Unsupported as error:
        why = failure_of(error).partition(": ")[2]
        return Outcome(new_record(job, options, started, status="skipped", error=why, **use.told))
    except Exception as error:
        return Outcome(new_record(job, options, started, status="failed", error=failure_of(error), **use.told))
    doing("score")
    scores = score(codes, fitted, job.metrics)
    values = _measured(job, bench, fitted, codes, scores)
    values["timings"]["cell_s"] = time.perf_counter() - clock
    per_query = {f"per_query:{name}": one for name, one in scores.per_query.items()}
    arrays = {**_packed(codes), **per_query}
    arrays |= curves(scores.histograms) if codes.values is None else {VALUES: codes.values}
    return Outcome(new_record(job, options, started, **values, **use.told), arrays, fitted.method)


_LAST: dict[str, Fitted] = {}
"""The method that this process has trained last, for the same job with another distance."""


def forget_fitted() -> None:
    """Forget the method that was trained last, so that the next job trains its own."""
    _LAST.clear()


def _fitted(
    job: Job,
    options: RunOptions,
    method_class: type[HashMethod],
    given: Given,
    bench: Workbench,
    workdir: Path,
    log: Log,
) -> Fitted:
    """Return the trained method of a job, with the features that its codes are made of."""
    if job.fit_id in _LAST:
        return _LAST[job.fit_id]
    _LAST.clear()
    with plugin_code():
        method = make_method(method_class, all_params(job.params, job.n_bits, job.seed))
        fitted = fit(method, replace(given, features=cut(given.features, job.dims)), bench, log)
    if fitted.method.backbone_weights_ is not None:
        tuned = bench.source.tuned(fitted.method.backbone_weights_, workdir)
        fitted.features = tuned.features()
        tuned.release()
    elif "," in options.distance:
        _LAST[job.fit_id] = fitted
    return fitted


def encode(fitted: Fitted, distance: str = "hamming") -> Codes:
    """Return the codes of database and queries, and the values of the queries if the distance needs them.

    Rows are gathered a bounded number at a time.
    """
    method, data, split = fitted.method, fitted.features.data, fitted.dataset.split
    method.encode(rows_of(data, split.database[:2048]))
    blocks, seconds = [], 0.0
    for start in range(0, len(split.database), ENCODE_ROWS):
        rows = rows_of(data, split.database[start : start + ENCODE_ROWS])
        started = time.perf_counter()
        blocks.append(method.encode(rows))
        seconds += time.perf_counter() - started
    queries = rows_of(data, split.query)
    values = method.values(queries) if distance == "asymmetric" else None
    return Codes(method.encode(queries), np.concatenate(blocks), len(split.database) / seconds, values)


def score(codes: Codes, fitted: Fitted, metrics: Sequence[str]) -> Evaluation:
    """Return the metrics of the job's protocol."""
    dataset, (queries, distance) = fitted.dataset, codes.ranked
    return evaluate(
        queries,
        codes.database,
        metrics=metrics,
        distance=distance,
        n_bits=fitted.method.n_bits,
        **dataset.relevance(),
    )


def _measured(job: Job, bench: Workbench, fitted: Fitted, codes: Codes, scores: Evaluation) -> dict[str, Any]:
    """Return what a record says of a cell that ended well."""
    timings = {
        "features_s": fitted.features.seconds,
        "fit_s": fitted.fit_s,
        "encode_items_per_s": codes.items_per_s,
        "search_queries_per_s": bench.search_rate(job.n_bits, codes.ranked[0], codes.database, job.distance),
    }
    if job.is_by_bytes:
        queries, distance = codes.ranked
        search = searcher(job.n_bits, codes.database, min(TOP, len(codes.database)), distance)
        timings |= bench.one_core_rates(search, queries)
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
        "portable": fitted.method.portable,
        **what_collapsed(fitted.method, codes.database),
    }


def _packed(codes: Codes) -> dict[str, np.ndarray]:
    return {"query_codes": codes.query, "database_codes": codes.database}
