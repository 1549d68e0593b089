"""One cell: fit, encode, score, and the record of it, made once at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.estimator import Estimator
from hashbench.contract.parameters import make_method
from hashbench.errors import Unsupported
from hashbench.evaluation.evaluate import Evaluation
from hashbench.features.cut import cut
from hashbench.files.cores import steady_threads
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.guard.state import kept_state
from hashbench.learning.deep import DeepMethod
from hashbench.progress import doing
from hashbench.records.collapse import what_collapsed
from hashbench.records.record import Record
from hashbench.runs.environment import peak_memory_mb, reset_peak_memory
from hashbench.runs.gpu import GpuUse
from hashbench.runs.job import Job
from hashbench.runs.measures import Measure, measure_of
from hashbench.runs.recording import new_record, now
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.training import Fitted, TrainingInputs, fit, training_inputs
from hashbench.runs.workbench import Workbench

Log = Callable[[str], object]


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
    method: Estimator | None = None


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
    inputs = training_inputs(job, bench, workdir)
    use = GpuUse(inputs.extras.get("device", "cpu"), inputs.extras.get("devices", 1))
    doing("fit")
    try:
        method_class = bench.registry.find(job.kind, job.method).load()  # what it sets there, it has for all its cells
        if issubclass(method_class, DeepMethod):
            use.precision = job.config["params"].get("precision", method_class.precision)
        with kept_state(), use:
            fitted = _fitted(job, options, method_class, inputs, bench, workdir, log)
            doing("encode")
            with plugin_code(), steady_threads(fitted.method.portable and job.distance == "hamming"):
                measure = measure_of(job)(job, bench, fitted)
    except Unsupported as error:
        why = failure_of(error).partition(": ")[2]
        return Outcome(new_record(job, options, started, status="skipped", error=why, **use.told))
    except Exception as error:
        return Outcome(new_record(job, options, started, status="failed", error=failure_of(error), **use.told))
    fitted.ran = fitted.ran or use.told  # with another distance, as where and when it was trained
    doing("score")
    scores, added = measure.scores(), measure.added()
    values = _recorded(fitted, measure, scores)
    values |= added.of_record(values["metrics"])
    values["timings"]["cell_s"] = time.perf_counter() - clock
    arrays = measure.arrays(scores) | {f"per_query:{name}": one for name, one in scores.per_query.items()}
    arrays |= added.arrays
    return Outcome(new_record(job, options, started, **values, **fitted.ran), arrays, fitted.method)


_LAST: dict[str, Fitted] = {}
"""The method that this process has trained last, for the same job with another distance."""


def forget_fitted() -> None:
    """Forget the method that was trained last, so that the next job trains its own."""
    _LAST.clear()


def _fitted(
    job: Job,
    options: RunOptions,
    method_class: type[Estimator],
    inputs: TrainingInputs,
    bench: Workbench,
    workdir: Path,
    log: Log,
) -> Fitted:
    """Return the trained method of a job, with the features that its codes are made of."""
    if job.fit_id in _LAST:
        return _LAST[job.fit_id]
    _LAST.clear()
    with plugin_code():
        method = make_method(method_class, job.params)
        fitted = fit(method, replace(inputs, features=cut(inputs.features, job.dims)), bench, log)
    if fitted.method.backbone_weights_ is not None:
        tuned = bench.source.tuned(fitted.method.backbone_weights_, workdir)
        fitted.features = tuned.features()
        tuned.release()
    elif "," in options.distance:
        _LAST[job.fit_id] = fitted
    return fitted


def _recorded(fitted: Fitted, measure: Measure, scores: Evaluation) -> dict[str, Any]:
    """Return what a record says of a cell that ended well."""
    timings = {
        "features_s": fitted.features.seconds,
        "fit_s": fitted.fit_s,
        "encode_items_per_s": measure.items_per_s,
        **measure.rates(),
    }
    if fitted.views_s is not None:
        timings["views_s"] = fitted.views_s
    if fitted.features.images_per_s is not None:
        # One image after the other through backbone and hash function, each at its measured rate.
        timings["encode_images_per_s"] = 1 / (1 / fitted.features.images_per_s + 1 / measure.items_per_s)
    return {
        "metrics": dict(scores),
        "timings": timings,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "training": fitted.training,
        "codes_sha256": {name: hashlib.sha256(one.tobytes()).hexdigest() for name, one in measure.codes.items()},
        "portable": measure.portable,
        **what_collapsed(fitted.method, measure.database),
    }
