"""Codes of classes: Hadamard rows, what they waste, and random ones."""

import numpy as np
import pytest

from hashbench import progress
from hashbench.errors import Unsupported
from hashbench.learning.centres import centres, n_wasted

KINDS = ("hadamard", "spread", "balanced", "bernoulli")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_classes", "n_bits"), [(2, 16), (10, 16), (10, 32), (20, 16), (100, 64), (6, 4)])
def test_codes_are_signs_that_differ_and_come_from_the_seed(kind, n_classes, n_bits):
    codes = centres(n_classes, n_bits, kind, 3)
    assert codes.shape == (n_classes, n_bits)
    assert codes.dtype == np.int8
    assert (np.abs(codes) == 1).all()
    assert len(np.unique(codes, axis=0)) == n_classes
    np.testing.assert_array_equal(codes, centres(n_classes, n_bits, kind, 3))
    if kind != "hadamard":
        assert (codes != centres(n_classes, n_bits, kind, 4)).any()


@pytest.mark.parametrize("kind", ["hadamard", "spread"])
def test_hadamard_rows_are_orthogonal(kind):
    codes = centres(10, 32, kind, 0).astype(int)
    np.testing.assert_array_equal(codes @ codes.T, 32 * np.eye(10, dtype=int))


def test_first_hadamard_rows_waste_bits_as_documented():
    codes = centres(10, 32, "hadamard", None)
    np.testing.assert_array_equal(codes[:, :16], codes[:, 16:])
    assert (codes[:, [0, 16]] == 1).all()
    assert n_wasted(codes) == 32 - 15


@pytest.mark.parametrize(
    ("n_classes", "n_bits", "wasted"), [(10, 16, 0), (10, 32, 0), (10, 64, 0), (8, 32, 0), (3, 16, 13), (100, 64, 0)]
)
def test_spread_rows_waste_no_bit_that_so_few_classes_can_use(n_classes, n_bits, wasted):
    for seed in range(5):
        assert n_wasted(centres(n_classes, n_bits, "spread", seed)) == wasted


def test_balanced_codes_have_half_of_each_sign():
    assert (centres(50, 24, "balanced", 0).sum(axis=1) == 0).all()


def test_lengths_that_hadamard_does_not_have_get_random_codes_and_a_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_said", set())
    np.testing.assert_array_equal(centres(10, 48, "spread", 5), centres(10, 48, "balanced", 5))
    line = "n_bits=48, 10 classes: no Hadamard matrix has such rows, centres are random\n"
    assert capsys.readouterr().err == line
    assert len(centres(40, 16, "hadamard", 5)) == 40  # H and −H have 32 rows
    assert "40 classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("n_classes", "n_bits", "kind", "reason"),
    [
        (1, 16, "hadamard", "1 class in the training set"),
        (7, 4, "balanced", "only 6 balanced codes"),
        (5, 2, "bernoulli", "only 4 bernoulli codes"),
        (5, 16, "paley", "expected 'hadamard', 'spread'"),
    ],
)
def test_what_has_no_centres_is_refused(n_classes, n_bits, kind, reason):
    with pytest.raises(Unsupported, match=reason):
        centres(n_classes, n_bits, kind, 0)
