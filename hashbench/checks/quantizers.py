"""The conformance suite that every quantizer plugin passes: ``hashbench check NAME``, ``@parametrize_with_checks``."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hashbench.checks.method_trial import gaussian, process_left_alone, refused
from hashbench.checks.outcome import Outcome, run_checks
from hashbench.contract.quantizer import Quantizer

Check = Callable[[type[Quantizer]], None]
N_NEAREST = 20


def _make(quantizer_class: type[Quantizer]) -> Quantizer:
    known = inspect.signature(quantizer_class).parameters
    usual = {"random_state": 0, "n_bits": 64}
    return quantizer_class(**{name: value for name, value in usual.items() if name in known})


def check_parameters(quantizer_class: type[Quantizer]) -> None:
    """Parameters are kept as given, and the quantizer can be cloned."""
    quantizer = _make(quantizer_class)
    assert clone(quantizer).get_params() == quantizer.get_params(), "clone has other parameters"


def check_process_is_left_alone(quantizer_class: type[Quantizer]) -> None:
    """Neither fit nor encode leaves the process changed: numpy's errors, timers, processes."""
    X = gaussian()
    with process_left_alone():
        _make(quantizer_class).fit(X).encode(X)


def check_codes_have_the_stated_bytes(quantizer_class: type[Quantizer]) -> None:
    """Codes are uint8, as many bytes as n_bytes says before and after fit."""
    X, quantizer = gaussian(), _make(quantizer_class)
    stated = quantizer.n_bytes(X.shape[1])
    codes = quantizer.fit(X).encode(X[:50])
    assert codes.dtype == np.uint8, f"codes have dtype {codes.dtype}"
    assert codes.shape == (50, stated), f"codes have shape {codes.shape}, n_bytes says {stated}"
    assert quantizer.n_bytes(X.shape[1]) == stated, "n_bytes is another after fit"


def check_rows_are_independent(quantizer_class: type[Quantizer]) -> None:
    """A row's code does not depend on the rows beside it, but for rounding; neither rows nor codes are changed."""
    X, quantizer = gaussian(), _make(quantizer_class)
    before = X.copy()
    codes = quantizer.fit(X).encode(X)
    kept = codes.copy()
    distances, again = (quantizer.distances(X[:3], one) for one in (codes, quantizer.encode(X[::-1])[::-1]))
    assert np.allclose(distances, again, rtol=1e-3, atol=1e-2), "codes depend on the order of the rows"
    assert (before == X).all(), "the vectors were changed"
    assert (codes == kept).all(), "the codes were changed"


def check_seed_decides(quantizer_class: type[Quantizer]) -> None:
    """The same seed gives the same codes."""
    X = gaussian()
    once, again = (_make(quantizer_class).fit(X).encode(X) for _ in range(2))
    assert (once == again).all(), "two fits with one seed give different codes"


def check_distances_rank_near_items_first(quantizer_class: type[Quantizer]) -> None:
    """Distances are finite, one for each pair, and go along with true distances."""
    X, quantizer = gaussian(), _make(quantizer_class)
    codes = quantizer.fit(X).encode(X)
    distances = quantizer.distances(X[:N_NEAREST], codes)
    assert distances.shape == (N_NEAREST, len(X)), f"distances have shape {distances.shape}"
    assert np.isfinite(distances).all(), "distances are not finite"
    true = np.square(X[:N_NEAREST, None] - X).sum(axis=2)
    together = [np.corrcoef(*pair)[0, 1] for pair in zip(distances, true, strict=True)]
    assert np.mean(together) > 0.5, f"distances correlate with true ones by {np.mean(together):.2f}"


def check_search_gives_the_smallest_distances(quantizer_class: type[Quantizer]) -> None:
    """Searching gives rows whose distances are the smallest ones, nearest first."""
    X, quantizer = gaussian(), _make(quantizer_class)
    codes = quantizer.fit(X).encode(X)
    distances = quantizer.distances(X[:5], codes)
    rows = quantizer.searcher(codes)(X[:5], N_NEAREST)
    assert rows.shape == (5, N_NEAREST), f"search returned shape {rows.shape}"
    best = np.sort(distances, axis=1)[:, :N_NEAREST]
    assert np.allclose(np.take_along_axis(distances, rows, axis=1), best, rtol=1e-4, atol=1e-3), "others are nearer"


def check_saves_and_loads(quantizer_class: type[Quantizer]) -> None:
    """A saved quantizer gives the codes and distances of the original."""
    X, quantizer = gaussian(), _make(quantizer_class)
    codes = quantizer.fit(X).encode(X)
    with tempfile.TemporaryDirectory() as folder:
        quantizer.save(Path(folder) / "model.safetensors")
        loaded = quantizer_class.load(Path(folder) / "model.safetensors")
    assert (loaded.encode(X) == codes).all(), "a loaded quantizer gives other codes"
    assert (loaded.distances(X[:3], codes) == quantizer.distances(X[:3], codes)).all(), "it gives other distances"
    assert loaded.get_params() == quantizer.get_params(), "a loaded quantizer has other parameters"


def check_refuses_unusable_input(quantizer_class: type[Quantizer]) -> None:
    """Rows that are not finite or of another width, and one training row, are refused."""
    X, quantizer = gaussian(), _make(quantizer_class)
    try:
        quantizer.encode(X)
    except NotFittedError:
        pass
    else:
        raise AssertionError("it encodes before fit")
    broken = X.copy()
    broken[3, 0] = np.nan
    with refused("it accepts NaN in fit", "row 3"):
        quantizer.fit(broken)
    with refused("it accepts one training row", "1"):
        quantizer.fit(X[:1])
    quantizer.fit(X)
    with refused("it accepts NaN in encode", "row 3"):
        quantizer.encode(broken)
    with refused("it accepts another width", "32"):
        quantizer.encode(X[:, :5])


def check_documented(quantizer_class: type[Quantizer]) -> None:
    """Every parameter stands in the docstring, and where the quantizer comes from is stated."""
    doc = inspect.getdoc(quantizer_class) or ""
    missing = [name for name in inspect.signature(quantizer_class).parameters if f"\n{name} : " not in doc]
    assert not missing, f"the docstring does not explain {', '.join(missing)}"
    assert quantizer_class.paper, "paper is empty"


CHECKS: tuple[Check, ...] = (
    check_parameters,
    check_process_is_left_alone,
    check_codes_have_the_stated_bytes,
    check_rows_are_independent,
    check_seed_decides,
    check_distances_rank_near_items_first,
    check_search_gives_the_smallest_distances,
    check_saves_and_loads,
    check_refuses_unusable_input,
    check_documented,
)


def outcomes(quantizer_class: type[Quantizer]) -> Iterator[Outcome]:
    """Run the checks one after the other and yield how each ended."""
    return run_checks(CHECKS, quantizer_class)


def parametrize_with_checks(quantizer_classes: Iterable[type[Quantizer]]) -> Any:
    """Return a pytest decorator: the test gets ``quantizer_class`` and ``check``, once per pair of them."""
    import pytest

    pairs = [(quantizer_class, check) for quantizer_class in quantizer_classes for check in CHECKS]
    ids = [f"{quantizer_class.name}-{check.__name__}" for quantizer_class, check in pairs]
    return pytest.mark.parametrize(("quantizer_class", "check"), pairs, ids=ids)
