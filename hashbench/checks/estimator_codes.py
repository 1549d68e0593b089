"""Checks of the codes of methods and quantizers: what they depend on, and what encoding costs."""

from __future__ import annotations

import tempfile
import tracemalloc

import numpy as np

from hashbench.checks.check import METHODS, QUANTIZERS, check
from hashbench.checks.estimator_trial import N_FEATURES, N_QUERIES, EstimatorClass, alike, fit, gaussian, make
from hashbench.contract.quantizer import Quantizer
from hashbench.errors import ContractError

LARGE = 200_000
BOUND_MB = 12.0
"""Memory that encoding 200,000 rows of 32 features (26 MB) may take besides a quantizer's codes: blocks, no copies."""


@check(METHODS, QUANTIZERS)
def check_values_are_finite(estimator_class: EstimatorClass) -> None:
    """Rows unlike those of the training have finite values, n_bits to a row, or finite distances."""
    estimator, X = fit(make(estimator_class), gaussian()), gaussian()
    rows = {"training rows": X, "rows of zeros": np.zeros_like(X), "rows 1,000 times as large": 1000 * X}
    for name, unlike in rows.items():
        try:
            codes = estimator.encode(unlike)
        except ContractError as error:
            raise AssertionError(f"{name}: {error}") from error
        if isinstance(estimator, Quantizer):
            assert np.isfinite(estimator.distances(X[:N_QUERIES], codes)).all(), f"{name}: distances are not finite"


@check(METHODS, QUANTIZERS)
def check_rows_are_independent(estimator_class: EstimatorClass) -> None:
    """A row's code does not depend on the other rows, on their order, or on the size of the batch."""
    estimator, X = fit(make(estimator_class), gaussian()), gaussian(2500, seed=3)
    codes = estimator.encode(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert alike(estimator, estimator.encode(X[order]), codes[order]), "codes depend on the order of the rows"
    for size in (1, 7, 1024, 1500):
        part = slice(700, 700 + size)
        assert alike(estimator, estimator.encode(X[part]), codes[part]), f"a batch of {size} rows differs"


@check(METHODS, QUANTIZERS)
def check_input_is_not_changed(estimator_class: EstimatorClass) -> None:
    """Fit and encode do not write to their input, nor distances and search to codes."""
    X = gaussian()
    before = X.copy()
    estimator = fit(make(estimator_class), X)
    codes = estimator.encode(X)
    kept = codes.copy()
    if isinstance(estimator, Quantizer):
        estimator.distances(X, codes)
        estimator.searcher(codes)(X, N_QUERIES)
    assert np.array_equal(X, before), "the input was changed"
    assert np.array_equal(codes, kept), "the codes were changed"


@check(METHODS, QUANTIZERS)
def check_memory_layouts(estimator_class: EstimatorClass) -> None:
    """Read-only memory-maps, float32 and float64, C and Fortran order give the same codes."""
    X = gaussian()
    expected = fit(make(estimator_class), X).encode(X)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/X.npy", X)
        forms = {
            "a read-only memory-map": np.load(f"{folder}/X.npy", mmap_mode="r"),
            "float64": X.astype(np.float64),
            "Fortran order": np.asfortranarray(X),
            "a strided view": np.repeat(X, 2, axis=1)[:, ::2],
        }
        for name, form in forms.items():
            assert (fit(make(estimator_class), form).encode(form) == expected).all(), f"{name} gives other codes"


@check(METHODS, QUANTIZERS)
def check_encode_memory_is_bounded(estimator_class: EstimatorClass) -> None:
    """Encoding a large memory-map allocates blocks, not copies of it."""
    estimator = fit(make(estimator_class), gaussian())
    with tempfile.TemporaryDirectory() as folder:
        X = np.lib.format.open_memmap(f"{folder}/X.npy", "w+", np.float32, (LARGE, N_FEATURES))
        X[:] = np.resize(gaussian(1000), X.shape)
        mapped = np.load(f"{folder}/X.npy", mmap_mode="r")
        estimator.encode(mapped[:2048])
        tracemalloc.start()
        try:
            codes = estimator.encode(mapped)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    taken = (peak - (codes.nbytes if isinstance(estimator, Quantizer) else 0)) / 2**20
    assert taken <= BOUND_MB, f"encoding {LARGE:,} rows allocates {taken:.0f} MB, at most {BOUND_MB:.0f} are fine"
