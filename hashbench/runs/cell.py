"""One cell: fit, encode, score, and the record of it, made once at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract import BLOCK_ROWS, make_method
from hashbench.data.dataset import Dataset
from hashbench.errors import Unsupported
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import Evaluation, evaluate
from hashbench.features.source import Features
from hashbench.method import HashMethod
from hashbench.plugins.registry import Registry
from hashbench.runs.environment import environment, peak_memory_mb, reset_peak_memory
from hashbench.runs.guard import failure_of, running_plugin
from hashbench.runs.job import Job
from hashbench.runs.options import RunOptions
from hashbench.runs.plan import all_params
from hashbench.runs.record import Record
from hashbench.runs.workbench import Workbench

ENCODE_ROWS = 128 * BLOCK_ROWS
"""Whole blocks of `HashMethod.encode`, so that codes are those of one call."""
LINE_EVERY_S = 2.0
"""Between two lines on a training."""
Log = Callable[[str], object]


@dataclass
class Fitted:
    """A trained method.

    Attributes
    ----------
    method : HashMethod
    dataset : Dataset
        What it is scored on.
    features : Features
        What its codes are made of.
    fit_s : float
    views_s : float or None
    training : list of dict
        One entry per epoch where the method logs a curve.
    uses_labels : bool
    """

    method: HashMethod
    dataset: Dataset
    features: Features
    fit_s: float = 0.0
    views_s: float | None = None
    training: list[dict[str, float]] = field(default_factory=list)
    uses_labels: bool = False


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
        Receives progress lines.

    Raises
    ------
    InputError
        The features cannot be made; whatever the method does, only its cell ends.
    """
    reset_peak_memory()
    if job.skip:
        return Outcome(_record(job, options, status="skipped", error=job.skip))
    if job.broken:
        return Outcome(_record(job, options, status="failed", error=job.broken))
    given = _given(job, bench, workdir)
    try:
        with running_plugin():
            method_class = Registry(options.plugins).find("methods", job.method).load()
            method = make_method(method_class, all_params(job.params, job.n_bits, job.seed))
            fitted = fit(method, given, bench, log)
        if fitted.method.backbone_weights_ is not None:
            fitted.features = bench.source.tuned(fitted.method.backbone_weights_, workdir).features()
        with running_plugin():
            codes = encode(fitted)
    except Unsupported as error:
        return Outcome(_record(job, options, status="skipped", error=failure_of(error).partition(": ")[2]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome(_record(job, options, status="failed", error=failure_of(error)))
    scores = score(codes, fitted)
    return _finished(job, options, bench, fitted, codes, scores)


@dataclass(frozen=True)
class Given:
    """What ``fit`` is given: training rows, labels for a supervised method, and what it asks for by keyword."""

    dataset: Dataset
    features: Features
    extras: dict[str, Any]
    views: Features | None


def _given(job: Job, bench: Workbench, workdir: Path) -> Given:
    """Make what a method asks for; what goes wrong here is no fault of the method."""
    wanted, views, extras = job.needs.extras, None, dict[str, Any]()
    features = bench.source.features()
    if "views" in wanted:
        assert job.needs.n_views is not None
        assert job.needs.views_seed is not None
        views = bench.source.views(job.needs.n_views, job.needs.views_seed)
        extras["views"] = views.data
    if "validation" in wanted:
        extras["validation"] = _validation(bench)
    if "workdir" in wanted:
        workdir.mkdir(parents=True, exist_ok=True)
        extras["workdir"] = workdir
    if "tunable" in wanted:
        extras["tunable"] = bench.source.tunable
    extras |= {name: getattr(bench.source, name) for name in ("device", "devices") if name in wanted}
    extras |= {"log": None} if "log" in wanted else {}
    dataset = bench.held_out[0] if "validation" in wanted else bench.dataset
    return Given(dataset, features, extras, views)


def fit(method: HashMethod, given: Given, bench: Workbench, log: Log) -> Fitted:
    """Train a method.

    Raises
    ------
    Unsupported
        The method cannot do what is asked of it on this data.
    """
    dataset, extras = given.dataset, dict(given.extras)
    fitted = Fitted(method, dataset, given.features, views_s=given.views.seconds if given.views else None)
    fitted.uses_labels = method.supervision == "supervised" or "validation" in extras

    shown_at = 0.0

    def note(epoch: int, epochs: int | None = None, **values: float) -> None:
        nonlocal shown_at
        fitted.training.append({"epoch": epoch, **values})
        if epoch != epochs and time.monotonic() - shown_at < LINE_EVERY_S:
            return
        shown_at = time.monotonic()
        shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        log(f"  epoch {epoch}{f'/{epochs}' if epochs else ''}  {shown}")

    if "log" in extras:
        extras["log"] = note
    if "tunable" in extras:
        extras["tunable"] = extras["tunable"]()
    if "device" in extras and not bench.warm:
        _warm_up(extras["device"])
        bench.warm = True
    train, labels = rows_of(given.features.data, dataset.split.train), _labels(dataset, method)
    started = time.perf_counter()
    method.fit(train, labels, **extras)
    fitted.fit_s = time.perf_counter() - started + method.resumed_s_
    return fitted


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


def _finished(
    job: Job, options: RunOptions, bench: Workbench, fitted: Fitted, codes: Codes, scores: Evaluation
) -> Outcome:
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
    packed = {"query_codes": codes.query, "database_codes": codes.database}
    record = _record(
        job,
        options,
        metrics=dict(scores),
        timings=timings,
        peak_memory_mb=round(peak_memory_mb(), 1),
        training=fitted.training,
        codes_sha256={name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in packed.items()},
        uses_labels=fitted.uses_labels,
    )
    per_query = {f"per_query:{name}": values for name, values in scores.per_query.items()}
    return Outcome(record, {**packed, **per_query, **curves(scores.histograms)}, fitted.method)


def _record(job: Job, options: RunOptions, **values: Any) -> Record:
    return Record(
        id=job.id,
        config=job.config,
        label=job.label,
        provenance=job.provenance,
        environment=environment() | {"jobs": options.jobs},
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        **{"status": "ok", **values},
    )


def _labels(dataset: Dataset, method: HashMethod) -> np.ndarray | None:
    """Return the training labels for a method that reads them."""
    if method.supervision != "supervised":
        return None
    if dataset.labels is None:
        raise Unsupported(f"{method.name} learns from labels, {dataset.name} has none")
    return dataset.labels[dataset.split.train]


def _validation(bench: Workbench) -> Callable[[HashMethod], float]:
    """Return a function that scores a method, as it is, on the validation queries by the headline metric."""
    (_, dataset), data = bench.held_out, bench.source.features().data
    split, relevance, metric = dataset.split, dataset.relevance(), dataset.protocol.metrics[0]

    def scored(method: HashMethod) -> float:
        codes = method.encode(rows_of(data, split.query)), method.encode(rows_of(data, split.database))
        return evaluate(*codes, metrics=[metric], n_bits=method.n_bits, **relevance)[metric]

    return scored


def _warm_up(device: str) -> None:
    """Take one training step on a small network, so that no cell's clock pays for starting torch."""
    import torch

    layer = torch.nn.Linear(64, 64).to(device)
    adam = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.ones(64, 64, device=device)).sum().backward()
    adam.step()


def rows_of(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return rows of an array, as a view where they lie side by side."""
    first, n = int(index[0]), len(index)
    if int(index[-1]) == first + n - 1 and np.array_equal(index, np.arange(first, first + n)):
        return data[first : first + n]
    return data[index]
