"""Shared by the checks of methods and quantizers: data, a fitted estimator, comparison of codes, expected errors."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.checks.check import Skipped
from hashbench.contract.fit_extras import TrainsOnViews, extras_problem
from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.data.dataset import Dataset
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import ContractError

N_TRAIN, N_FEATURES, N_QUERIES = 400, 32, 3
N_BITS = 16
"""Code length at which methods are checked."""
QUANTIZER_BITS = 64
"""Code length of quantizers: two bits a feature, so that distances are near the true ones."""
Estimator = HashMethod | Quantizer
EstimatorClass = type[HashMethod] | type[Quantizer]


def gaussian(n: int = N_TRAIN, seed: int = 0) -> np.ndarray:
    """Return Gaussian rows with falling variances and a mean, (n, 32) float32."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, N_FEATURES)) * np.geomspace(3, 0.5, N_FEATURES) + 1).astype(np.float32)


def classes(X: np.ndarray) -> np.ndarray:
    """Return four classes of rows, (n,) int64: equal rows have equal ones."""
    high = np.asarray(X)[:, :2] > 1
    return high @ np.array([2, 1])


def marks(X: np.ndarray) -> np.ndarray:
    """Return which of three labels each row has, (n, 3) bool: some rows have one, others two or three."""
    y = classes(X)
    return np.stack([y % 2 == 0, y > 1, np.ones(len(y), bool)], axis=1)


def labels_for(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return labels of rows such as a method learns from: classes, unless it needs several labels an item."""
    return marks(X) if estimator.labels == "multilabel" else classes(X)


def parameters(estimator_class: EstimatorClass) -> dict[str, inspect.Parameter]:
    """Return the parameters of ``__init__`` by name."""
    return dict(inspect.signature(estimator_class).parameters)


def make(estimator_class: EstimatorClass, **params: Any) -> Any:
    """Return an unfitted method or quantizer: few bits, seed 0 if it is random, 2 epochs if it trains by epochs."""
    n_bits = QUANTIZER_BITS if issubclass(estimator_class, Quantizer) else N_BITS
    usual = {"n_bits": n_bits, "random_state": 0, "epochs": 2}
    known = parameters(estimator_class)
    return estimator_class(**{name: value for name, value in usual.items() if name in known} | params)


def fit(estimator: Any, X: np.ndarray, y: np.ndarray | None = None) -> Any:
    """Fit, handing over the extras that ``fit`` asks for, noisy copies as views, and labels where it reads them.

    Raises
    ------
    Skipped
        The method says that it cannot run on such data, or needs a backbone.
    """
    y = labels_for(estimator, X) if y is None else y
    reason = estimator.skip(_dataset(np.asarray(X), y))
    if reason:
        raise Skipped(reason)
    wanted, extras = estimator.wants(), dict[str, Any]()
    if "tunable" in wanted:
        raise Skipped("fit asks for tunable, a backbone, and the checks have none")
    if "views" in wanted:
        assert isinstance(estimator, TrainsOnViews), extras_problem(estimator)
        noise = np.random.default_rng(1).standard_normal((len(X), estimator.n_pool_views(len(X)), X.shape[1]))
        extras["views"] = (np.asarray(X)[:, None] + 0.3 * noise).astype(np.float16)
    if "device" in wanted:
        extras["device"] = "cpu"
    if "devices" in wanted:
        extras["devices"] = 1
    if "log" in wanted:
        extras["log"] = lambda **values: None
    if "validation" in wanted:
        extras["validation"] = lambda method: float(method.encode(X).mean())
    with tempfile.TemporaryDirectory() as folder:
        if "workdir" in wanted:
            extras["workdir"] = Path(folder)
        return estimator.fit(X, *([y] if estimator.supervision == "supervised" else []), **extras)


def _dataset(X: np.ndarray, y: np.ndarray) -> Dataset:
    """Return rows as a data set that has whatever a method may look for: all rows are trained on, ten are queries."""
    n, rows = len(X), np.arange(len(X))
    twice = np.concatenate([rows, np.resize(rows, 10)])
    return Dataset(
        name="checks",
        protocol=Protocol("checks/1", "all rows are trained on", None, None, None, ("mAP@all",)),
        split=Split(rows, np.arange(n, n + 10), rows),
        labels=y[twice],
        features=X[twice],
        images=np.zeros((len(twice), 1, 1, 3), np.uint8),
        views=PHOTO_VIEWS,
    )


def alike(estimator: Any, codes: np.ndarray, others: np.ndarray) -> bool:
    """Return whether codes are the same; those of a quantizer, whether their distances are, but for rounding."""
    if not isinstance(estimator, Quantizer):
        return bool((codes == others).all())
    one, other = (estimator.distances(gaussian(N_QUERIES), some) for some in (codes, others))
    return np.allclose(one, other, rtol=1e-3, atol=1e-2)


@contextmanager
def refused(otherwise: str, *words: str) -> Iterator[None]:
    """Expect a ValueError with a message that holds the words."""
    try:
        yield
    except ContractError:
        raise
    except ValueError as error:
        missing = [word for word in words if word not in str(error)]
        assert str(error), f"{otherwise.replace('accepts', 'refuses')} without a message"
        assert not missing, f"{otherwise.replace('accepts', 'refuses')} without naming {missing[0]}: {error}"
    else:
        raise AssertionError(otherwise)
