"""Anchor graphs, AGH and DGH against what their papers prove."""

import numpy as np
import pytest
from classics import bits_of, make, values_of

from hashbench.learning.classic.anchor_graph import anchor_weights, find_anchors


def test_anchor_weights(data):
    anchors, width, Z = find_anchors(data, 60, 3, "AGH", 0)
    dense = Z.toarray()
    assert dense.sum(axis=1) == pytest.approx(1)
    assert ((dense > 0).sum(axis=1) == 3).all()
    assert (dense.sum(axis=0) > 0).all()
    distances = np.linalg.norm(data.astype(np.float64)[:, None] - anchors, axis=2)
    nearest = np.sort(distances, axis=1)
    assert width == pytest.approx(nearest[:, 2].mean())
    weights = np.where(distances <= nearest[:, 2:3], np.exp(-((distances / width) ** 2)), 0)
    assert dense == pytest.approx(weights / weights.sum(axis=1, keepdims=True))
    far = anchor_weights(data[:5] + np.float32(1e4), anchors, 3, width).toarray()
    assert far.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("offset", [0, 3, 1e4])
@pytest.mark.parametrize("scale", [1e-30, 1, 1e25])
@pytest.mark.parametrize("n_neighbors", [1, 3, 40])
def test_nearest_anchors_are_those_of_float64(offset, scale, n_neighbors):
    """Whatever a float32 product loses to an offset, or drops because it is too small or too large."""
    rng = np.random.default_rng(0)
    X = (scale * (rng.standard_normal((1100, 24)) + offset)).astype(np.float32)
    anchors = (scale * (rng.standard_normal((40, 24)) + offset)).astype(np.float32)
    anchors[7] = anchors[3]
    X[:2], X[2] = 0, anchors[3]
    Z = anchor_weights(X, anchors, n_neighbors, scale)
    distances = ((X.astype(np.float64)[:, None] - anchors.astype(np.float64)) ** 2).sum(axis=2)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    got = Z.indices.reshape(-1, n_neighbors)
    np.testing.assert_allclose(
        np.take_along_axis(distances, got, axis=1), np.take_along_axis(distances, expected, axis=1), rtol=1e-12
    )
    assert got[2, 0] == 3
    assert Z.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("name", ["agh", "agh-2"])
def test_agh_projection_is_orthogonal_and_balanced(data, name):
    method = make(name, 16).fit(data)
    Y = values_of(method, data)[:, : 16 // method.n_layers]
    assert Y.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert Y.T @ Y / len(Y) == pytest.approx(np.eye(Y.shape[1]), abs=1e-8)


def test_agh_thresholds_minimise_the_graph_laplacian(data):
    """Brute force on the second layer's objective: fᵀLf over b⁺ and b⁻ that keep Σf = 0."""
    X = data[:300]
    method = make("agh-2", 8).fit(X)
    Z = anchor_weights(X, method.anchors_, 3, method.width_).toarray()
    laplacian = np.eye(300) - Z / Z.sum(axis=0) @ Z.T
    Y = Z @ method.weights_
    for y, (above, below) in zip(Y.T, method.thresholds_.T, strict=True):

        def cost(above, below, y=y):
            f = np.where(y > 0, y - above, below - y)
            return f @ laplacian @ f, f.sum()

        best, total = cost(above, below)
        assert total == pytest.approx(0, abs=1e-8)
        n_positive = (y > 0).sum()
        for step in (-0.05, 0.05):
            other, total = cost(above + step * (300 - n_positive) / 300, below + step * n_positive / 300)
            assert total == pytest.approx(0, abs=1e-8)
            assert other > best


@pytest.mark.parametrize("name", ["dgh", "dgh-identity"])
@pytest.mark.parametrize("rho", [0.0, 0.1, 10.0])
def test_dgh_objective_never_decreases(data, name, rho):
    objectives = np.array(make(name, 16, rho=rho, tol=0.0).fit(data).objectives_)
    assert len(objectives) >= 3
    assert (np.diff(objectives) >= -1e-9 * np.abs(objectives[:-1])).all()
    assert objectives[-1] > objectives[0]


def test_dgh_codes_are_a_fixed_point(data):
    """At the end no sign can follow its gradient: the training codes equal sgn(2AB + ρY), ρ = 0."""
    method = make("dgh", 16, rho=0.0).fit(data)
    Z = anchor_weights(data, method.anchors_, 3, method.width_)
    B = np.where(bits_of(method, data), 1.0, -1.0)
    assert method.weights_ == pytest.approx(Z.T @ B / Z.sum(axis=0)[:, None])


def test_dgh_balance_step_with_dependent_codes():
    from hashbench.methods.dgh import _balanced

    rng = np.random.default_rng(0)
    B = np.where(rng.standard_normal((200, 6)) > 0, 1.0, -1.0)
    B[:, 1], B[:, 2], B[:, 3] = B[:, 0], -B[:, 0], 1
    Y = _balanced(B, rng)
    assert Y.sum(axis=0) == pytest.approx(0, abs=1e-9)
    gram = Y.T @ Y / 200
    assert gram == pytest.approx(np.eye(6), abs=1e-9)
    singular = np.linalg.svd(B - B.mean(axis=0), compute_uv=False)
    assert np.vdot(B, Y) == pytest.approx(np.sqrt(200) * singular.sum())


@pytest.mark.parametrize("name", ["agh", "dgh"])
@pytest.mark.filterwarnings("error")
def test_fewer_different_rows_than_anchors(data, name):
    X = np.repeat(data[:40], 5, axis=0)
    method = make(name, 8).fit(X)
    assert len(method.anchors_) <= 40
    assert (bits_of(method, X).reshape(40, 5, 8) == bits_of(method, data[:40])[:, None]).all()
