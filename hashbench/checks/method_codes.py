"""Checks of the codes that a method gives: their form, what decides them, and what encoding costs."""

from __future__ import annotations

import tempfile
import tracemalloc

import numpy as np

from hashbench.checks.method_trial import N_BITS, N_FEATURES, fit, gaussian, is_random, make
from hashbench.contract.method import HashMethod
from hashbench.errors import ContractError

LARGE = 200_000
BOUND_MB = 12.0
"""Memory that encoding 200,000 rows of 32 features (26 MB) may allocate: blocks, not copies."""


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


def check_values_are_finite(method_class: type[HashMethod]) -> None:
    """Project returns finite real numbers, n_bits to a row, also for rows unlike those of the training."""
    method, X = fit(make(method_class), gaussian()), gaussian()
    rows = {"training rows": X, "rows of zeros": np.zeros_like(X), "rows 1,000 times as large": 1000 * X}
    for name, unlike in rows.items():
        try:
            method.encode(unlike)
        except ContractError as error:
            raise AssertionError(f"{name}: {error}") from error


def check_no_bit_is_constant(method_class: type[HashMethod]) -> None:
    """On Gaussian data every bit takes both values."""
    X = gaussian(2000)
    bits = np.unpackbits(fit(make(method_class), X).encode(X), axis=1)
    constant = np.flatnonzero(bits.min(axis=0) == bits.max(axis=0))
    assert not len(constant), f"bits {constant.tolist()} are the same for all rows"


def check_seed_decides(method_class: type[HashMethod]) -> None:
    """The same seed gives the same codes, another seed others; without a seed nothing is random."""
    X = gaussian()
    once, again = (fit(make(method_class), X).encode(X) for _ in range(2))
    assert (once == again).all(), "two fits with the same parameters give different codes"
    if is_random(method_class):
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
