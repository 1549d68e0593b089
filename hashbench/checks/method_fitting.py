"""Checks of how a method is made, fitted and kept: parameters, input, refitting, saving."""

from __future__ import annotations

import inspect
import pickle
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hashbench.checks.method_trial import (
    N_BITS,
    N_FEATURES,
    N_TRAIN,
    classes,
    fit,
    gaussian,
    make,
    process_left_alone,
    refused,
)
from hashbench.contract.fit_extras import data_parameters, extras_problem
from hashbench.contract.method import HashMethod
from hashbench.contract.parameters import snapshot
from hashbench.errors import ContractError, Unsupported, describe_error


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


def check_parameters_stay(method_class: type[HashMethod]) -> None:
    """Neither fit nor encode changes a parameter: a run records those that it gave."""
    method, X = make(method_class), gaussian()
    before = snapshot(method.get_params())
    fit(method, X)
    assert method.get_params() == before, "fit changes the parameters"
    method.encode(X)
    assert method.get_params() == before, "encode changes the parameters"


def check_fit_asks_for_what_there_is(method_class: type[HashMethod]) -> None:
    """Beyond training vectors and labels, fit asks only for what a run can hand over."""
    problem = extras_problem(make(method_class))
    assert not problem, problem


def check_labels(method_class: type[HashMethod]) -> None:
    """A method that says that it is supervised takes labels and uses them; marks of several labels, or it says no."""
    data = data_parameters(method_class.fit)
    if method_class.supervision not in ("unsupervised", "supervised"):
        raise AssertionError(f"supervision is {method_class.supervision!r}, expected 'unsupervised' or 'supervised'")
    if method_class.supervision == "unsupervised":
        return
    assert len(data) > 1, "supervision is 'supervised', but fit has no parameter for labels: fit(self, X, y)"
    X = gaussian()
    codes = fit(make(method_class), X).encode(X)
    others = np.random.default_rng(2).permutation(classes(X))
    assert (fit(make(method_class), X, others).encode(X) != codes).any(), "other labels give the same codes"
    marks = np.stack([classes(X) % 2 == 0, classes(X) > 1, np.ones(len(X), bool)], axis=1)
    with suppress(Unsupported):
        fit(make(method_class), X, marks)


def check_a_last_batch_of_one_row(method_class: type[HashMethod]) -> None:
    """An epoch may end in a batch of one row: it is used, left out, or the parameters are refused."""
    if "batch_size" not in inspect.signature(method_class).parameters:
        return
    method = make(method_class, batch_size=57)
    assert N_TRAIN % method.get_params()["batch_size"] == 1, "batch_size is not kept as given"
    try:
        fit(method, gaussian())
    except (ContractError, Unsupported) as error:
        if isinstance(error, ContractError):
            raise
    except Exception as error:
        raise AssertionError(
            f"{N_TRAIN} rows in batches of 57 end in a batch of one row: {describe_error(error)}; leave such a batch "
            "out (rows_used returns 0 for it, as batch normalisation needs), or raise Unsupported"
        ) from error


def check_input_is_not_changed(method_class: type[HashMethod]) -> None:
    """Neither fit nor encode writes to its input."""
    X = gaussian()
    before = X.copy()
    fit(make(method_class), X).encode(X)
    assert np.array_equal(X, before), "the input was changed"


def check_process_is_left_alone(method_class: type[HashMethod]) -> None:
    """Neither fit nor encode leaves the process changed: numpy's errors, torch's defaults, timers, processes."""
    X = gaussian()
    with process_left_alone():
        fit(make(method_class), X).encode(X)


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


def check_refuses_unusable_input(method_class: type[HashMethod]) -> None:
    """NaN, infinity, a single row, wrong shapes, unusable n_bits and unfitted use are clear errors."""
    X = gaussian()
    for bad in (np.nan, np.inf):
        holed = X.copy()
        holed[7, 3] = bad
        with refused(f"fit accepts {bad}"):
            fit(make(method_class), holed)
        method = fit(make(method_class), X)
        with refused(f"encode accepts {bad}"):
            method.encode(holed)
    with refused("fit accepts a single row"):
        fit(make(method_class), X[:1])
    with refused("fit accepts a vector"):
        make(method_class).fit(X[0])
    with refused("encode accepts rows of another width"):
        method.encode(X[:, :-1])
    for n_bits in (0, -3, 2.5, "16", True, None):
        with refused(f"fit accepts n_bits={n_bits!r}", "n_bits"):
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
        except ContractError:
            raise
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
        except ContractError:
            raise
        except ValueError as error:
            assert str(error), "rows that are all the same give an error without a message"


def check_documented(method_class: type[HashMethod]) -> None:
    """The class has a docstring that names its parameters."""
    doc = inspect.getdoc(method_class) or ""
    own = method_class.__doc__ or ""
    assert own.strip(), "the class has no docstring"
    params = set(inspect.signature(method_class).parameters) - {"n_bits", "random_state"}
    missing = sorted(name for name in params if name not in doc)
    assert not missing, f"the docstring does not mention {', '.join(missing)}"
