"""Checks of how a method or quantizer is made, fitted and kept: parameters, input, refitting, saving."""

from __future__ import annotations

import inspect
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hashbench.checks.check import HAS_SEARCH_SPACE, METHODS, QUANTIZERS, check, has_parameter
from hashbench.checks.estimator_trial import (
    N_BITS,
    N_FEATURES,
    N_QUERIES,
    N_TRAIN,
    EstimatorClass,
    fit,
    gaussian,
    make,
    parameters,
    refused,
)
from hashbench.contract.fit_extras import extras_problem
from hashbench.contract.parameters import make_method, snapshot
from hashbench.contract.quantizer import Quantizer
from hashbench.contract.search_space import Choice, Range, search_space
from hashbench.errors import ContractError, Unsupported, describe_error

FEW_ITERATIONS = {"n_iter": 2, "max_steps": 2}
"""Parameters of methods that learn hundreds of bits: how many they give does not depend on these."""


@check(METHODS, QUANTIZERS)
def check_parameters(estimator_class: EstimatorClass) -> None:
    """Parameters are keyword arguments kept as given; ``clone`` and ``set_params`` work."""
    known = parameters(estimator_class)
    for name, parameter in known.items():
        assert parameter.default is not inspect.Parameter.empty, f"parameter {name} has no default"
    defaults = {name: parameter.default for name, parameter in known.items()}
    assert estimator_class().get_params() == defaults, "__init__ changes its parameters"
    estimator = make(estimator_class)
    assert clone(estimator).get_params() == estimator.get_params(), "clone has other parameters"
    assert not [name for name in vars(estimator) if name.endswith("_")], "__init__ sets learned attributes"
    if "n_bits" in known:
        for n_bits in (N_BITS, 13):
            assert make(estimator_class, n_bits=n_bits).get_params()["n_bits"] == n_bits, "n_bits is not kept as given"
        assert estimator.set_params(n_bits=8).n_bits == 8, "set_params does not set n_bits"
    else:
        assert issubclass(estimator_class, Quantizer), "__init__ has no parameter n_bits"


@check(METHODS, QUANTIZERS)
def check_parameters_stay(estimator_class: EstimatorClass) -> None:
    """Neither fit nor encode changes a parameter: a run records those that it gave."""
    estimator, X = make(estimator_class), gaussian()
    before = snapshot(estimator.get_params())
    fit(estimator, X)
    assert estimator.get_params() == before, "fit changes the parameters"
    estimator.encode(X)
    assert estimator.get_params() == before, "encode changes the parameters"


@check(METHODS, QUANTIZERS, only=HAS_SEARCH_SPACE)
def check_search_space(estimator_class: EstimatorClass) -> None:
    """The search space is valid and contains the defaults; its first and its last values make a plugin that fits.

    A plugin with ``epochs`` is not fitted. Integers above the number of training rows are left out, since many of them
    are numbers of rows.
    """
    space = search_space(estimator_class)
    for end in (0, -1):
        corner = {name: _values(entry)[end] for name, entry in space.items()}
        estimator = make_method(lambda **params: make(estimator_class, **params), corner)
        if "epochs" in parameters(estimator_class):
            continue  # it would take long
        try:
            fit(estimator, gaussian()).encode(gaussian())
        except Exception as error:
            shown = ", ".join(f"{name}={value!r}" for name, value in corner.items())
            raise AssertionError(f"with {shown}: {describe_error(error)}") from error


def _values(entry: Range | Choice) -> list[Any]:
    """Return values from the first to the last, without integers beyond the number of rows."""
    if isinstance(entry, Range):
        return [entry.low, min(entry.high, max(entry.low, N_TRAIN)) if entry.integer else entry.high]
    return [value for value in entry.values if not isinstance(value, int) or value <= N_TRAIN] or list(entry.values)


@check(METHODS, QUANTIZERS)
def check_fit_asks_for_what_there_is(estimator_class: EstimatorClass) -> None:
    """Fit asks only for what a run can hand over: a quantizer gets neither labels nor validation queries."""
    estimator, supervision = make(estimator_class), estimator_class.supervision
    if issubclass(estimator_class, Quantizer):
        assert supervision == "unsupervised", f"supervision is {supervision!r}; a run hands a quantizer no labels"
    expected = "expected 'unsupervised' or 'supervised'"
    assert supervision in ("unsupervised", "supervised"), f"supervision is {supervision!r}, {expected}"
    problem = extras_problem(estimator)
    assert not problem, problem


@check(METHODS, QUANTIZERS)
def check_seed_decides(estimator_class: EstimatorClass) -> None:
    """The same seed gives the same codes, another seed others; without a seed nothing is random."""
    X = gaussian()
    once, again = (fit(make(estimator_class), X).encode(X) for _ in range(2))
    assert (once == again).all(), "two fits with the same parameters give different codes"
    if "random_state" in parameters(estimator_class):
        other = fit(make(estimator_class, random_state=1), X).encode(X)
        assert (once != other).any(), "another random_state gives the same codes: is it used?"


@check(METHODS, QUANTIZERS)
def check_refit_forgets(estimator_class: EstimatorClass) -> None:
    """A second fit is as if there had been no first."""
    X, other = gaussian(), gaussian(seed=5)
    refitted = fit(fit(make(estimator_class), other), X)
    assert (refitted.encode(X) == fit(make(estimator_class), X).encode(X)).all(), "a second fit depends on the first"


@check(METHODS, QUANTIZERS)
def check_saves_and_loads(estimator_class: EstimatorClass) -> None:
    """What is saved, and what is pickled, gives the codes and distances of the original."""
    X = gaussian()
    estimator = fit(make(estimator_class), X)
    with tempfile.TemporaryDirectory() as folder:
        estimator.save(Path(folder) / "model.safetensors")
        loaded = estimator_class.load(Path(folder) / "model.safetensors")
    assert loaded.get_params() == estimator.get_params(), "what is loaded has other parameters"
    for how, other in (("loaded", loaded), ("pickled", pickle.loads(pickle.dumps(estimator)))):
        codes = estimator.encode(X)
        assert (other.encode(X) == codes).all(), f"what is {how} gives other codes"
        if isinstance(estimator, Quantizer):
            kept, given = (one.distances(X[:N_QUERIES], codes) for one in (estimator, other))
            assert np.array_equal(kept, given), f"what is {how} gives other distances"


@check(METHODS, QUANTIZERS)
def check_refuses_unusable_input(estimator_class: EstimatorClass) -> None:
    """NaN, infinity, a single row, wrong shapes, unusable n_bits and unfitted use are clear errors."""
    X = gaussian()
    for bad in (np.nan, np.inf):
        holed = X.copy()
        holed[7, 3] = bad
        with refused(f"fit accepts {bad}", "row 7"):
            fit(make(estimator_class), holed)
        estimator = fit(make(estimator_class), X)
        with refused(f"encode accepts {bad}", "row 7"):
            estimator.encode(holed)
    with refused("fit accepts a single row", "1"):
        fit(make(estimator_class), X[:1])
    with refused("fit accepts a vector"):
        make(estimator_class).fit(X[0])
    with refused("encode accepts rows of another width", str(N_FEATURES)):
        estimator.encode(X[:, :-1])
    for n_bits in (0, -3, 2.5, "16", True, None) if "n_bits" in parameters(estimator_class) else ():
        with refused(f"fit accepts n_bits={n_bits!r}", "n_bits"):
            fit(make(estimator_class, n_bits=n_bits), X)
    try:
        make(estimator_class).encode(X)
    except NotFittedError:
        return
    raise AssertionError("encode before fit does not raise NotFittedError")


@check(METHODS, QUANTIZERS, only=has_parameter("n_bits"))
def check_too_many_bits(estimator_class: EstimatorClass) -> None:
    """Asked for more bits than there are features or rows, a method gives them or says why not."""
    X = gaussian()
    few = {name: n for name, n in FEW_ITERATIONS.items() if name in parameters(estimator_class)}
    for n_bits in (N_FEATURES + 8, N_TRAIN + 8):
        try:
            codes = fit(make(estimator_class, n_bits=n_bits, **few), X).encode(X)
        except ContractError:
            raise
        except ValueError as error:
            assert "bits" in str(error) or str(n_bits) in str(error), f"{n_bits} bits: unclear error {error}"
        else:
            assert codes.shape[1] == -(-n_bits // 8), f"{n_bits} bits give codes of {codes.shape[1]} bytes"


@check(METHODS, QUANTIZERS)
def check_degenerate_data(estimator_class: EstimatorClass) -> None:
    """Constant features and duplicate rows do no harm; rows that are all the same are fine or a clear error."""
    X = gaussian()
    X[:, 3] = 5
    X[:, 4] = 0
    X[200:300] = X[:100]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        estimator = fit(make(estimator_class), X)
        codes = estimator.encode(X)
        assert _are_equally_good(estimator, X[:100], codes[:100], codes[200:300]), "equal rows get different codes"
        try:
            fit(make(estimator_class), np.ones_like(X)).encode(X)
        except ContractError:
            raise
        except ValueError as error:
            assert str(error), "rows that are all the same give an error without a message"


def _are_equally_good(estimator: Any, rows: np.ndarray, codes: np.ndarray, others: np.ndarray) -> bool:
    """Return whether codes of equal rows are the same; those of a quantizer, whether both are as near to their rows.

    Where features are constant, centroids can be equally near, and rounding chooses one.
    """
    if not isinstance(estimator, Quantizer):
        return bool((codes == others).all())
    one, other = (np.diagonal(estimator.distances(rows, some)) for some in (codes, others))
    return np.allclose(one, other, rtol=1e-3, atol=1e-2)


@check(METHODS, QUANTIZERS, only=has_parameter("batch_size"))
def check_a_last_batch_of_one_row(estimator_class: EstimatorClass) -> None:
    """An epoch may end in a batch of one row: it is used, left out, or the parameters are refused."""
    estimator: Any = make(estimator_class, batch_size=57)
    assert N_TRAIN % estimator.get_params()["batch_size"] == 1, "batch_size is not kept as given"
    try:
        fit(estimator, gaussian())
    except (ContractError, Unsupported) as error:
        if isinstance(error, ContractError):
            raise
    except Exception as error:
        raise AssertionError(
            f"{N_TRAIN} rows in batches of 57 end in a batch of one row: {describe_error(error)}; leave such a batch "
            "out, or raise Unsupported"
        ) from error


@check(METHODS, QUANTIZERS)
def check_documented(estimator_class: EstimatorClass) -> None:
    """The docstring names the parameters; a quantizer's explains each, and the class says where it comes from."""
    assert (estimator_class.__doc__ or "").strip(), "the class has no docstring"
    doc, names = inspect.getdoc(estimator_class) or "", set(parameters(estimator_class))
    if issubclass(estimator_class, Quantizer):
        assert estimator_class.paper, "paper is empty"
        missing = sorted(name for name in names if f"\n{name} : " not in doc)
    else:
        missing = sorted(name for name in names - {"n_bits", "random_state"} if name not in doc)
    assert not missing, f"the docstring does not explain {', '.join(missing)}"
