"""Trains a method: what it asks for is made, its clock starts when all is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.estimator import Estimator
from hashbench.contract.method import HashMethod
from hashbench.data.dataset import Dataset
from hashbench.data.protocol import NameParts
from hashbench.evaluation.evaluate import evaluate
from hashbench.features.source import Features
from hashbench.files.cores import steady_threads
from hashbench.runs.job import Job
from hashbench.runs.workbench import Workbench

LINE_EVERY_S = 2.0
"""Between two lines on a training."""
Log = Callable[[str], object]


@dataclass
class Fitted:
    """A trained method or quantizer.

    Attributes
    ----------
    method : HashMethod or Quantizer
    dataset : Dataset
        What it is scored on.
    features : Features
        What its codes are made of.
    fit_s : float
    views_s : float or None
    training : list of dict
        One entry per epoch where the method logs a curve.
    ran : dict
        What `hashbench.runs.gpu.GpuUse` told of the cell that trained it.
    """

    method: Estimator
    dataset: Dataset
    features: Features
    fit_s: float = 0.0
    views_s: float | None = None
    training: list[dict[str, float]] = field(default_factory=list)
    ran: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingInputs:
    """What ``fit`` is given: training rows, labels for a supervised method, and what it asks for by keyword.

    Attributes
    ----------
    dataset : Dataset
        What the method is scored on.
    train : ndarray of int64
        The training rows, without those that are its validation queries.
    features : Features
    extras : dict
    views : Features or None
    """

    dataset: Dataset
    train: np.ndarray
    features: Features
    extras: dict[str, Any]
    views: Features | None


def training_inputs(job: Job, bench: Workbench, workdir: Path) -> TrainingInputs:
    """Make what a method asks for; what goes wrong here is no fault of the method."""
    wanted, views, extras = job.needs.extras, None, dict[str, Any]()
    features, dataset, train = bench.source.features(), bench.dataset, bench.dataset.split.train
    if "views" in wanted:
        assert job.needs.n_views is not None
        assert job.needs.views_seed is not None
        views = bench.source.views(job.needs.n_views, job.needs.views_seed)
        extras["views"] = views.data
    if "validation" in wanted:
        if NameParts.of(job.config["protocol"]).held_out:
            dataset, chosen_by = bench.held_out
        else:
            chosen_by = bench.validated
            train = chosen_by.split.train
            if views is not None:
                extras["views"] = views.data[np.isin(dataset.split.train, train)]
        extras["validation"] = _validation(chosen_by, features.data)
    if "workdir" in wanted:
        workdir.mkdir(parents=True, exist_ok=True)
        extras["workdir"] = workdir
    if "tunable" in wanted:
        extras["tunable"] = bench.source.tunable
    extras |= {name: getattr(bench.source, name) for name in ("device", "devices") if name in wanted}
    extras |= {"log": None} if "log" in wanted else {}
    return TrainingInputs(dataset, train, features, extras, views)


def fit(method: Estimator, inputs: TrainingInputs, bench: Workbench, log: Log) -> Fitted:
    """Train a method or quantizer.

    Raises
    ------
    Unsupported
        The method does not support these parameters or this code length on this data.
    """
    dataset, extras = inputs.dataset, dict(inputs.extras)
    fitted = Fitted(method, dataset, inputs.features, views_s=inputs.views.seconds if inputs.views else None)

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
    train, labels = rows_of(inputs.features.data, inputs.train), _labels(dataset, inputs.train, method)
    started = time.perf_counter()
    with steady_threads(method.portable and method.kind == "methods"):
        method.fit(train, labels, **extras)
    fitted.fit_s = time.perf_counter() - started + method.resumed_s_ - method.checkpoint_s_
    return fitted


def _labels(dataset: Dataset, train: np.ndarray, method: Estimator) -> np.ndarray | None:
    """Return the training labels for a method that reads them; the plan has skipped data that has none."""
    if method.supervision != "supervised":
        return None
    assert dataset.labels is not None
    return dataset.labels[train]


def _validation(dataset: Dataset, data: np.ndarray) -> Callable[[HashMethod], float]:
    """Return a function that scores a method, as it is, on a data set's queries by the headline metric."""
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
    """Return rows of an array as float32, as a view where they lie side by side and are that already."""
    first, n = int(index[0]), len(index)
    together = int(index[-1]) == first + n - 1 and np.array_equal(index, np.arange(first, first + n))
    return (data[first : first + n] if together else data[index]).astype(np.float32, copy=False)
