"""One cell: load, fit, encode, evaluate, time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.errors import InputError, Unsupported
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import evaluate
from hashbench.features.source import Features
from hashbench.files.hashing import canonical_hash
from hashbench.method import BLOCK_ROWS, HashMethod
from hashbench.runs.environment import environment, peak_memory_mb, reset_peak_memory
from hashbench.runs.job import Cell
from hashbench.runs.records import Record
from hashbench.runs.workbench import Workbench

ENCODE_ROWS = 128 * BLOCK_ROWS
"""Whole blocks of `HashMethod.encode`, so that codes are those of one call."""


def run_cell(
    cell: Cell, bench: Workbench, config: dict[str, Any]
) -> tuple[Record, dict[str, np.ndarray], HashMethod | None]:
    """Run one cell.

    Parameters
    ----------
    cell : Cell
    bench : Workbench
    config : dict
        What `Workbench.config` returned for the cell.

    Returns
    -------
    record : Record
        Whatever happened: a cell that cannot be is ``skipped``, one that raises is ``failed``.
    arrays : dict of ndarray
        Codes, per-query values and curves; empty unless the status is ``ok``.
    method : HashMethod or None
        The trained method; None unless the status is ``ok``.
    """
    record = Record(
        id=canonical_hash(config),
        config=config,
        status="ok",
        label=cell.label,
        provenance=bench.dataset.provenance,
        environment=environment(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        method = cell.method()
        reason = method.skip(bench.dataset)
        if reason:
            raise Unsupported(reason)
        reset_peak_memory()
        arrays = _fit_and_score(method, bench, record)
        record.peak_memory_mb = round(peak_memory_mb(), 1)
    except Unsupported as error:
        record.status, record.error = "skipped", _one_line(error)
    except InputError:
        raise
    except Exception as error:
        record.status, record.error = "failed", f"{type(error).__name__}: {_one_line(error)}"
    else:
        return record, arrays, method
    return record, {}, None


def _fit_and_score(method: HashMethod, bench: Workbench, record: Record) -> dict[str, np.ndarray]:
    dataset = bench.dataset_for(method)
    split = dataset.split
    features = bench.source.features()
    train = _rows(features.data, split.train)
    extras, views = _extras(method, bench, record)
    if "device" in extras and not bench.warm:
        _warm_up(bench.source.device)
        bench.warm = True
    started = time.perf_counter()
    method.fit(train, _labels(dataset, method), **extras)
    fit_s = time.perf_counter() - started + getattr(method, "resumed_s_", 0.0)
    if hasattr(method, "backbone_weights_"):
        features = bench.source.tuned(method.backbone_weights_, bench.workdir / record.id).features()
    method.encode(_rows(features.data, split.database[:2048]))
    database_codes, encode_s = _encode(method, features.data, split.database)
    query_codes = method.encode(_rows(features.data, split.query))
    evaluation = evaluate(
        query_codes,
        database_codes,
        metrics=dataset.protocol.metrics,
        n_bits=method.n_bits,
        **dataset.relevance(),
    )
    record.metrics = dict(evaluation)
    items_per_s = len(database_codes) / encode_s
    record.timings = {
        "features_s": features.seconds,
        "fit_s": fit_s,
        "encode_items_per_s": items_per_s,
        "search_queries_per_s": bench.search_rate(method.n_bits, query_codes, database_codes),
    }
    if views is not None:
        record.timings["views_s"] = views.seconds
    if features.images_per_s is not None:
        # One image after the other through backbone and hash function, each at its measured rate.
        record.timings["encode_images_per_s"] = 1 / (1 / features.images_per_s + 1 / items_per_s)
    record.uses_labels = method.supervision == "supervised" or "validation" in extras
    codes = {"query_codes": query_codes, "database_codes": database_codes}
    record.codes_sha256 = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in codes.items()}
    per_query = {f"per_query:{name}": values for name, values in evaluation.per_query.items()}
    return {**codes, **per_query, **curves(evaluation.histograms)}


def _labels(dataset: Dataset, method: HashMethod) -> np.ndarray | None:
    """Return the training labels for a method that reads them."""
    if method.supervision != "supervised":
        return None
    if dataset.labels is None:
        raise Unsupported(f"{method.name} learns from labels, {dataset.name} has none")
    return dataset.labels[dataset.split.train]


def _extras(method: HashMethod, bench: Workbench, record: Record) -> tuple[dict[str, Any], Features | None]:
    """Return what the method's ``fit`` asks for by keyword, and the views among it."""

    def log(epoch: int, epochs: int | None = None, **values: float) -> None:
        record.training.append({"epoch": epoch, **values})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        bench.log(f"  epoch {epoch}{f'/{epochs}' if epochs else ''}  {shown}")

    wanted, extras, views = method.wants(), dict[str, Any](), None
    if "views" in wanted:
        n_views = method.n_pool_views(len(bench.dataset.split.train))
        views = bench.source.views(n_views, method.views_seed)
        extras["views"] = views.data
    if "tunable" in wanted:
        extras["tunable"] = bench.source.tunable()
    if "validation" in wanted:
        extras["validation"] = _validation(bench)
    if "workdir" in wanted:
        extras["workdir"] = bench.workdir / record.id
        extras["workdir"].mkdir(parents=True, exist_ok=True)
    if "device" in wanted:
        extras["device"] = bench.source.device
    offered = {"devices": bench.source.devices, "log": log}
    extras |= {name: value for name, value in offered.items() if name in wanted}
    return extras, views


def _validation(bench: Workbench) -> Callable[[HashMethod], float]:
    """Return a function that scores a method, as it is, on the validation queries by the headline metric."""
    (_, dataset), data = bench.held_out, bench.source.features().data
    split, relevance, metric = dataset.split, dataset.relevance(), dataset.protocol.metrics[0]

    def score(method: HashMethod) -> float:
        codes = method.encode(_rows(data, split.query)), method.encode(_rows(data, split.database))
        return evaluate(*codes, metrics=[metric], n_bits=method.n_bits, **relevance)[metric]

    return score


def _warm_up(device: str) -> None:
    """Take one training step on a small network, so that no cell's clock pays for starting torch."""
    import torch

    layer = torch.nn.Linear(64, 64).to(device)
    adam = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.ones(64, 64, device=device)).sum().backward()
    adam.step()


def _encode(method: HashMethod, data: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the codes of rows, and the seconds that encoding took; rows are gathered a bounded number at a time."""
    codes, seconds = [], 0.0
    for start in range(0, len(index), ENCODE_ROWS):
        rows = _rows(data, index[start : start + ENCODE_ROWS])
        started = time.perf_counter()
        codes.append(method.encode(rows))
        seconds += time.perf_counter() - started
    return np.concatenate(codes), seconds


def _rows(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return rows of an array, as a view where they lie side by side."""
    first, n = int(index[0]), len(index)
    if int(index[-1]) == first + n - 1 and np.array_equal(index, np.arange(first, first + n)):
        return data[first : first + n]
    return data[index]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"
