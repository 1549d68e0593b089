"""Spherical hashing: balanced bits, overlapping spheres, and the median's own point."""

import numpy as np
import pytest
from classics import bits_of, make


@pytest.mark.parametrize("n", [1000, 1001])
@pytest.mark.parametrize("n_bits", [8, 32])
def test_sph_bits_are_balanced_and_overlaps_near_a_quarter(data, n, n_bits):
    X = data[:n]
    method = make("sph", n_bits).fit(X)
    assert method.converged_
    assert 1 <= method.n_iter_ < method.max_iter
    inside = bits_of(method, X).astype(int)
    assert (inside.sum(axis=0) == (n + 1) // 2).all()
    overlaps = (inside.T @ inside)[np.triu_indices(n_bits, 1)] / (n / 4)
    assert np.abs(overlaps - 1).mean() <= 0.1
    assert overlaps.std() <= 0.15


def test_sph_radius_is_the_median_distance(data):
    X = data[:501]
    method = make("sph", 8).fit(X)
    distances = np.linalg.norm((X - method.mean_)[:, None] - method.centres_, axis=2)
    assert np.median(distances, axis=0) == pytest.approx(method.radii_, rel=1e-2)
    assert (np.median(distances, axis=0) < method.radii_).all()
    assert np.array_equal(bits_of(method, X), distances <= np.median(distances, axis=0))


def test_sph_ties_at_the_median_are_all_inside(data):
    X = np.concatenate([np.repeat(data[:1], 301, axis=0), data[1:300]])
    inside = bits_of(make("sph", 8, max_iter=5).fit(X), X)
    assert (inside[:301] == inside[0]).all()
    assert (inside.sum(axis=0) >= 300).all()


def test_sph_says_when_it_was_cut_short(data):
    method = make("sph", 16, max_iter=1, mean_tolerance=0.0).fit(data)
    assert (method.converged_, method.n_iter_) == (False, 1)


@pytest.mark.parametrize("kind", ["tenth of equal rows", "few rows", "one-hot", "binary"])
@pytest.mark.filterwarnings("error")
def test_sph_keeps_its_best_spheres_where_the_rule_cannot_be_met(data, kind):
    """Where equal rows cannot be cut apart, the iteration runs away; the codes still tell rows apart."""
    rng = np.random.default_rng(0)
    X = {
        "tenth of equal rows": np.concatenate([data[:450], np.zeros((150, 24), np.float32)]),
        "few rows": np.repeat(data[:12], 40, axis=0),
        "one-hot": np.eye(24, dtype=np.float32)[rng.integers(0, 24, 400)],
        "binary": rng.integers(0, 2, (400, 24)).astype(np.float32),
    }[kind]
    method = make("sph", 16, max_iter=300).fit(X)
    bits = bits_of(method, X)
    assert np.isfinite(method.project(X)).all()
    assert len(np.unique(bits, axis=0)) >= min(12, len(np.unique(X, axis=0)))
    assert 0.2 < bits.mean() < 0.95
