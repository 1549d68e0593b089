"""Checks of methods alone: labels, the form of their bits, and what the bits are worth."""

from __future__ import annotations

import numpy as np

from hashbench.checks.check import METHODS, READS_LABELS, check
from hashbench.checks.estimator_trial import N_BITS, N_FEATURES, classes, fit, gaussian, labels_for, make, marks
from hashbench.contract.fit_extras import data_parameters
from hashbench.contract.labels import LABELS
from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported


@check(METHODS, only=READS_LABELS)
def check_labels(method_class: type[HashMethod]) -> None:
    """A supervised method takes labels of the forms that it states and uses them."""
    takes_labels = len(data_parameters(method_class.fit)) > 1
    assert takes_labels, "supervision is 'supervised', but fit has no parameter for labels: fit(self, X, y)"
    assert method_class.labels in LABELS, f"labels is {method_class.labels!r}, expected one of {', '.join(LABELS)}"
    X = gaussian()
    codes = fit(make(method_class), X).encode(X)
    others = np.random.default_rng(2).permutation(labels_for(method_class, X))
    assert (fit(make(method_class), X, others).encode(X) != codes).any(), "other labels give the same codes"
    if method_class.labels == "any":
        for form, y in (("classes", classes(X)), ("marks of several labels", marks(X))):
            try:
                fit(make(method_class), X, y)
            except Unsupported as error:
                raise AssertionError(f"labels is 'any', but {form} are refused: {error}") from error


@check(METHODS)
def check_codes_are_packed(method_class: type[HashMethod]) -> None:
    """Codes have the promised shape, dtype and bit order, and padding bits are 0."""
    for n_bits in (N_BITS, 12):
        method = make(method_class, n_bits=n_bits)
        X = gaussian()
        try:
            fitted = fit(method, X)
        except Unsupported:
            if n_bits == N_BITS:
                raise
            continue  # such as a method whose code lengths are powers of two
        assert fitted is method, "fit does not return the method itself"
        codes = method.encode(X[:50])
        expected = (50, -(-n_bits // 8))
        assert codes.shape == expected, f"{n_bits} bits: codes have shape {codes.shape}, expected {expected}"
        assert codes.dtype == np.uint8, f"codes have dtype {codes.dtype}, expected uint8"
        bits = np.unpackbits(codes, axis=1)
        assert not bits[:, n_bits:].any(), f"{n_bits} bits: padding bits are not 0"
        values = method.project(np.resize(X[:50], (1024, N_FEATURES)))[:50]
        assert values.shape == (50, n_bits), f"project returns shape {values.shape}, expected (50, {n_bits})"
        assert (bits[:, :n_bits] == (values > 0)).all(), "bits are not numpy.packbits(project(X) > 0)"


@check(METHODS)
def check_no_bit_is_constant(method_class: type[HashMethod]) -> None:
    """On Gaussian data every bit takes both values."""
    X = gaussian(2000)
    bits = np.unpackbits(fit(make(method_class), X).encode(X), axis=1)
    constant = np.flatnonzero(bits.min(axis=0) == bits.max(axis=0))
    assert not len(constant), f"bits {constant.tolist()} are the same for all rows"
