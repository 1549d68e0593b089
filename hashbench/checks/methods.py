"""The conformance suite that every method plugin passes, after scikit-learn's estimator checks.

As a library call ``check_method(Method)``, as a pytest parametrisation ``@parametrize_with_checks([Method])``, and
on the command line ``hashbench check NAME``.
"""

from __future__ import annotations

import inspect
import pickle
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hashbench.checks.outcome import Outcome
from hashbench.method import HashMethod

N_TRAIN, N_FEATURES, N_BITS = 400, 32, 16
LARGE = 200_000
BOUND_MB = 12.0
"""Memory that encoding 200,000 rows of 32 features (26 MB) may allocate: blocks, not copies."""

Check = Callable[[type[HashMethod]], None]


def check_method(method_class: type[HashMethod]) -> None:
    """Run every check on a method.

    Parameters
    ----------
    method_class : type
        A `HashMethod` subclass.

    Raises
    ------
    AssertionError
        Some fail; the message lists each with its reason.
    """
    failed = [outcome for outcome in outcomes(method_class) if outcome.reason]
    if failed:
        raise AssertionError("\n".join(f"{outcome.name}: {outcome.reason}" for outcome in failed))


def outcomes(method_class: type[HashMethod]) -> Iterator[Outcome]:
    """Run the checks one after the other and yield how each ended."""
    for check in CHECKS:
        try:
            check(method_class)
            yield Outcome(check.__name__, "")
        except Exception as error:
            reason = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            yield Outcome(check.__name__, reason.partition("\n")[0] or type(error).__name__)


def parametrize_with_checks(method_classes: Iterable[type[HashMethod]]) -> Any:
    """Return a pytest decorator: the test gets ``method_class`` and ``check``, once per pair of them.

    Examples
    --------
    ::

        @parametrize_with_checks([Mine])
        def test_mine(method_class, check):
            check(method_class)
    """
    import pytest

    pairs = [(method_class, check) for method_class in method_classes for check in CHECKS]
    ids = [f"{method_class.name}-{check.__name__}" for method_class, check in pairs]
    return pytest.mark.parametrize(("method_class", "check"), pairs, ids=ids)


def gaussian(n: int = N_TRAIN, seed: int = 0) -> np.ndarray:
    """Return Gaussian rows with falling variances and a mean, (n, 32) float32."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, N_FEATURES)) * np.geomspace(3, 0.5, N_FEATURES) + 1).astype(np.float32)


def make(method_class: type[HashMethod], **params: Any) -> HashMethod:
    """Return an unfitted method with 16 bits; seed 0 if it is random, 2 epochs if it trains by epochs."""
    known = inspect.signature(method_class).parameters
    usual = {name: value for name, value in {"random_state": 0, "epochs": 2}.items() if name in known}
    return method_class(**{"n_bits": N_BITS, **usual, **params})


def fit(method: HashMethod, X: np.ndarray) -> HashMethod:
    """Fit a method, handing it the extras that it asks for, views that are noisy copies among them."""
    wanted, extras = method.wants(), dict[str, Any]()
    if "views" in wanted:
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
        return method.fit(X, **extras)


def check_codes_are_packed(method_class: type[HashMethod]) -> None:
    """Codes have the promised shape, dtype and bit order, and padding bits are 0."""
    for n_bits in (N_BITS, 12):
        method = make(method_class, n_bits=n_bits)
        X = gaussian()
        assert fit(method, X) is method, "fit does not return the method itself"
        codes = method.encode(X[:50])
        expected = (50, -(-n_bits // 8))
        assert codes.shape == expected, f"{n_bits} bits: codes have shape {codes.shape}, expected {expected}"
        assert codes.dtype == np.uint8, f"codes have dtype {codes.dtype}, expected uint8"
        bits = np.unpackbits(codes, axis=1)
        assert not bits[:, n_bits:].any(), f"{n_bits} bits: padding bits are not 0"
        values = method.project(np.resize(X[:50], (1024, N_FEATURES)))[:50]
        assert values.shape == (50, n_bits), f"project returns shape {values.shape}, expected (50, {n_bits})"
        assert (bits[:, :n_bits] == (values > 0)).all(), "bits are not numpy.packbits(project(X) > 0)"


def check_seed_decides(method_class: type[HashMethod]) -> None:
    """The same seed gives the same codes, another seed others; without a seed nothing is random."""
    X = gaussian()
    once, again = (fit(make(method_class), X).encode(X) for _ in range(2))
    assert (once == again).all(), "two fits with the same parameters give different codes"
    if _is_random(method_class):
        other = fit(make(method_class, random_state=1), X).encode(X)
        assert (once != other).any(), "another random_state gives the same codes: is it used?"


def check_global_random_state_is_left_alone(method_class: type[HashMethod]) -> None:
    """Fitting does not move numpy's global generator."""
    X, before = gaussian(), str(np.random.get_state())  # noqa: NPY002 (the legacy state is what is looked at)
    fit(make(method_class), X)
    assert str(np.random.get_state()) == before, "fit moves numpy's global random state"  # noqa: NPY002


def check_rows_are_independent(method_class: type[HashMethod]) -> None:
    """A row's code does not depend on the other rows, on their order, or on the size of the batch."""
    method, X = fit(make(method_class), gaussian()), gaussian(2500, seed=3)
    codes = method.encode(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert (method.encode(X[order]) == codes[order]).all(), "codes depend on the order of the rows"
    for size in (1, 7, 1024, 1500):
        assert (method.encode(X[700 : 700 + size]) == codes[700 : 700 + size]).all(), f"a batch of {size} rows differs"


def check_input_is_not_changed(method_class: type[HashMethod]) -> None:
    """Neither fit nor encode writes to its input."""
    X = gaussian()
    before = X.copy()
    fit(make(method_class), X).encode(X)
    assert np.array_equal(X, before), "the input was changed"


def check_memory_layouts(method_class: type[HashMethod]) -> None:
    """Read-only memory-maps, float32 and float64, C and Fortran order give the same codes."""
    X = gaussian()
    expected = fit(make(method_class), X).encode(X)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/X.npy", X)
        forms = {
            "a read-only memory-map": np.load(f"{folder}/X.npy", mmap_mode="r"),
            "float64": X.astype(np.float64),
            "Fortran order": np.asfortranarray(X),
            "a strided view": np.repeat(X, 2, axis=1)[:, ::2],
        }
        for name, form in forms.items():
            assert (fit(make(method_class), form).encode(form) == expected).all(), f"{name} gives other codes"


def check_refit_forgets(method_class: type[HashMethod]) -> None:
    """A second fit is as if there had been no first."""
    X, other = gaussian(), gaussian(seed=5)
    refitted = fit(fit(make(method_class), other), X)
    assert (refitted.encode(X) == fit(make(method_class), X).encode(X)).all(), "a second fit depends on the first"


def check_saves_and_loads(method_class: type[HashMethod]) -> None:
    """A saved and a pickled method give the codes of the original."""
    X = gaussian()
    method = fit(make(method_class), X)
    codes = method.encode(X)
    with tempfile.TemporaryDirectory() as folder:
        method.save(Path(folder) / "model.safetensors")
        loaded = method_class.load(Path(folder) / "model.safetensors")
    assert (loaded.encode(X) == codes).all(), "a loaded method gives other codes"
    assert loaded.get_params() == method.get_params(), "a loaded method has other parameters"
    assert (pickle.loads(pickle.dumps(method)).encode(X) == codes).all(), "a pickled method gives other codes"


def check_parameters(method_class: type[HashMethod]) -> None:
    """Parameters are keyword arguments kept as given; ``clone`` and ``set_params`` work."""
    signature = inspect.signature(method_class)
    assert "n_bits" in signature.parameters, "__init__ has no parameter n_bits"
    for n_bits in (N_BITS, 13):
        assert make(method_class, n_bits=n_bits).get_params()["n_bits"] == n_bits, "n_bits is not kept as given"
    method = make(method_class)
    params = method.get_params()
    for name, parameter in signature.parameters.items():
        assert parameter.default is not inspect.Parameter.empty, f"parameter {name} has no default"
    defaults = {name: p.default for name, p in signature.parameters.items()}
    assert method_class().get_params() == defaults, "__init__ changes its parameters"
    assert clone(method).get_params() == params, "clone has other parameters"
    assert not [name for name in vars(method) if name.endswith("_")], "__init__ sets learned attributes"
    assert method.set_params(n_bits=8).n_bits == 8, "set_params does not set n_bits"


def check_refuses_unusable_input(method_class: type[HashMethod]) -> None:
    """NaN, infinity, a single row, wrong shapes, unusable n_bits and unfitted use are clear errors."""
    X = gaussian()
    for bad in (np.nan, np.inf):
        holed = X.copy()
        holed[7, 3] = bad
        with _refused(f"fit accepts {bad}"):
            fit(make(method_class), holed)
        method = fit(make(method_class), X)
        with _refused(f"encode accepts {bad}"):
            method.encode(holed)
    with _refused("fit accepts a single row"):
        fit(make(method_class), X[:1])
    with _refused("fit accepts a vector"):
        make(method_class).fit(X[0])
    with _refused("encode accepts rows of another width"):
        method.encode(X[:, :-1])
    for n_bits in (0, -3, 2.5, "16", True, None):
        with _refused(f"fit accepts n_bits={n_bits!r}", "n_bits"):
            fit(make(method_class, n_bits=n_bits), X)
    try:
        make(method_class).encode(X)
    except NotFittedError:
        return
    raise AssertionError("encode before fit does not raise NotFittedError")


def check_too_many_bits(method_class: type[HashMethod]) -> None:
    """Asked for more bits than there are features or rows, a method gives them or says why not."""
    X = gaussian()
    for n_bits in (N_FEATURES + 8, N_TRAIN + 8):
        try:
            codes = fit(make(method_class, n_bits=n_bits), X).encode(X)
        except ValueError as error:
            assert "bits" in str(error) or str(n_bits) in str(error), f"{n_bits} bits: unclear error {error}"
        else:
            assert codes.shape[1] == -(-n_bits // 8), f"{n_bits} bits give codes of {codes.shape[1]} bytes"


def check_degenerate_data(method_class: type[HashMethod]) -> None:
    """Constant features and duplicate rows do no harm; rows that are all the same are fine or a clear error."""
    X = gaussian()
    X[:, 3] = 5
    X[:, 4] = 0
    X[200:300] = X[:100]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        codes = fit(make(method_class), X).encode(X)
        assert (codes[200:300] == codes[:100]).all(), "equal rows get different codes"
        try:
            codes = fit(make(method_class), np.ones_like(X)).encode(X)
        except ValueError as error:
            assert str(error), "rows that are all the same give an error without a message"


def check_no_bit_is_constant(method_class: type[HashMethod]) -> None:
    """On Gaussian data every bit takes both values."""
    X = gaussian(2000)
    bits = np.unpackbits(fit(make(method_class), X).encode(X), axis=1)
    constant = np.flatnonzero(bits.min(axis=0) == bits.max(axis=0))
    assert not len(constant), f"bits {constant.tolist()} are the same for all rows"


def check_encode_memory_is_bounded(method_class: type[HashMethod]) -> None:
    """Encoding a large memory-map allocates blocks, not copies of it."""
    method = fit(make(method_class), gaussian())
    with tempfile.TemporaryDirectory() as folder:
        X = np.lib.format.open_memmap(f"{folder}/X.npy", "w+", np.float32, (LARGE, N_FEATURES))
        X[:] = np.resize(gaussian(1000), X.shape)
        mapped = np.load(f"{folder}/X.npy", mmap_mode="r")
        method.encode(mapped[:2048])
        tracemalloc.start()
        try:
            method.encode(mapped)
            peak = tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()
    assert peak <= BOUND_MB, f"encoding {LARGE:,} rows allocates {peak:.0f} MB, at most {BOUND_MB:.0f} are fine"


def check_documented(method_class: type[HashMethod]) -> None:
    """The class has a docstring that names its parameters."""
    doc = inspect.getdoc(method_class) or ""
    own = method_class.__doc__ or ""
    assert own.strip(), "the class has no docstring"
    params = set(inspect.signature(method_class).parameters) - {"n_bits", "random_state"}
    missing = sorted(name for name in params if name not in doc)
    assert not missing, f"the docstring does not mention {', '.join(missing)}"


CHECKS: tuple[Check, ...] = (
    check_parameters,
    check_codes_are_packed,
    check_seed_decides,
    check_global_random_state_is_left_alone,
    check_rows_are_independent,
    check_input_is_not_changed,
    check_memory_layouts,
    check_refit_forgets,
    check_saves_and_loads,
    check_refuses_unusable_input,
    check_too_many_bits,
    check_degenerate_data,
    check_no_bit_is_constant,
    check_encode_memory_is_bounded,
    check_documented,
)


def _is_random(method_class: type[HashMethod]) -> bool:
    return "random_state" in inspect.signature(method_class).parameters


@contextmanager
def _refused(otherwise: str, *words: str) -> Iterator[None]:
    """Expect a ValueError with a message that holds the words."""
    try:
        yield
    except ValueError as error:
        missing = [word for word in words if word not in str(error)]
        assert str(error), f"{otherwise.replace('accepts', 'refuses')} without a message"
        assert not missing, f"{otherwise.replace('accepts', 'refuses')} without naming {missing[0]}: {error}"
    else:
        raise AssertionError(otherwise)
