"""What the checks of methods share: data, a method made and fitted, an expected refusal."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.fit_extras import TrainsOnViews, extras_problem
from hashbench.contract.method import HashMethod
from hashbench.errors import ContractError
from hashbench.guard.state import changed, kept_state, state

N_TRAIN, N_FEATURES, N_BITS = 400, 32, 16


def gaussian(n: int = N_TRAIN, seed: int = 0) -> np.ndarray:
    """Return Gaussian rows with falling variances and a mean, (n, 32) float32."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, N_FEATURES)) * np.geomspace(3, 0.5, N_FEATURES) + 1).astype(np.float32)


def make(method_class: type[HashMethod], **params: Any) -> HashMethod:
    """Return an unfitted method with 16 bits; seed 0 if it is random, 2 epochs if it trains by epochs."""
    known = inspect.signature(method_class).parameters
    usual = {name: value for name, value in {"random_state": 0, "epochs": 2}.items() if name in known}
    return method_class(**{"n_bits": N_BITS, **usual, **params})


def fit(method: HashMethod, X: np.ndarray, y: np.ndarray | None = None) -> HashMethod:
    """Fit a method, handing it the extras that it asks for, noisy copies as views, and labels if it reads them."""
    wanted, extras = method.wants(), dict[str, Any]()
    labels = [classes(X) if y is None else y] if method.supervision == "supervised" else []
    if "views" in wanted:
        assert isinstance(method, TrainsOnViews), extras_problem(method)
        noise = np.random.default_rng(1).standard_normal((len(X), method.n_pool_views(len(X)), X.shape[1]))
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
        return method.fit(X, *labels, **extras)


def classes(X: np.ndarray) -> np.ndarray:
    """Return four classes of rows, (n,) int64: equal rows have equal ones."""
    high = np.asarray(X)[:, :2] > 1
    return high @ np.array([2, 1])


def is_random(method_class: type[HashMethod]) -> bool:
    """Return whether a method has a seed."""
    return "random_state" in inspect.signature(method_class).parameters


@contextmanager
def process_left_alone() -> Iterator[None]:
    """Expect that what the process has one of is as before afterwards, see `hashbench.guard.state`."""
    before = state()
    with kept_state():
        yield
        left = changed(before)
    assert not left, f"fit or encode leaves changed behind: {', '.join(left)}"


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
