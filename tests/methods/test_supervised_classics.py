"""Supervised methods without a network against their papers' formulas, written plainly, and bad input."""

import numpy as np
import pytest
import scipy.linalg
from classics import bits_of
from sklearn.linear_model import LogisticRegression

import hashbench
from hashbench.errors import Unsupported
from hashbench.learning.centres import centres

ALL = ("cca_itq", "classcode", "fsdh", "ksh", "lfh", "sdh")
MULTILABEL = ("cca_itq", "ksh", "lfh", "sdh")
N_CLASSES = 5


@pytest.fixture(scope="module")
def labelled():
    """Return 400 rows of 12 features in five classes that overlap, and the classes."""
    rng = np.random.default_rng(2)
    y = rng.integers(N_CLASSES, size=400)
    X = 1.5 * rng.standard_normal((N_CLASSES, 12))[y] + rng.standard_normal((400, 12)) * np.linspace(0.5, 2, 12) + 3
    return X.astype(np.float32), y


def fitted(name, X, y, n_bits=8, **params):
    usual = {"classcode": {}, "ksh": {"max_steps": 20, "random_state": 0}}.get(name, {"random_state": 0})
    return hashbench.load_method(name)(n_bits, **usual | params).fit(X, y)


def one_hot(y):
    return (y[:, None] == np.arange(N_CLASSES)).astype(float)


def gaussian_kernel(method, X):
    squared = np.square(X[:, None].astype(float) - method.anchors_[None].astype(float)).sum(axis=2)
    return np.exp(-squared / (2 * method.squared_width_))


def signs(values):
    return np.where(values > 0, 1.0, -1.0)


@pytest.mark.parametrize("name", ALL)
def test_labels_help(labelled, name):
    X, y = labelled

    def score(method):
        codes = method.encode(X[300:]), method.encode(X[:300])
        found = hashbench.evaluate(*codes, metrics=["mAP@all"], n_bits=8, query_labels=y[300:], database_labels=y[:300])
        return found["mAP@all"]

    rng = np.random.default_rng(0)
    assert score(fitted(name, X[:300], y[:300])) > score(fitted(name, X[:300], rng.permutation(y[:300]))) + 0.15


@pytest.mark.parametrize("name", MULTILABEL)
def test_several_labels_an_item_are_learned_from(labelled, name):
    X, y = labelled
    marks = np.stack([y == 0, y == 1, y > 1, y == 3], axis=1)
    method = fitted(name, X, marks)
    assert bits_of(method, X).std(axis=0).max() > 0
    other = fitted(name, X, marks[:, ::-1] ^ [[False, True, False, False]])
    assert (bits_of(method, X) != bits_of(other, X)).any()


@pytest.mark.parametrize("name", sorted({*ALL} - {*MULTILABEL}))
def test_methods_of_one_class_refuse_several_labels(labelled, name):
    X, y = labelled
    with pytest.raises(Unsupported, match=f"{name} learns from one class an item"):
        fitted(name, X, np.stack([y > 1, y > 2], axis=1))


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("cca_itq", {"n_iter": -1}, "n_iter=-1"),
        ("cca_itq", {"ridge": 0}, "ridge=0"),
        ("classcode", {"C": 0}, "C=0"),
        ("classcode", {"max_iter": 0}, "max_iter=0"),
        ("classcode", {"n_bits": 2}, "5 classes are numbered in 3 bits"),
        ("fsdh", {"ridge": -1}, "ridge=-1"),
        ("fsdh", {"n_anchors": 0}, "n_anchors=0"),
        ("fsdh", {"sigma": 0}, "sigma=0"),
        ("fsdh", {"centres": "paley"}, "centres='paley'"),
        ("fsdh", {"n_bits": 3, "centres": "balanced"}, "only 3 balanced codes"),
        ("ksh", {"n_labelled": 1}, "n_labelled=1"),
        ("ksh", {"max_steps": -1}, "max_steps=-1"),
        ("ksh", {"tol": -1}, "tol=-1"),
        ("lfh", {"beta": 0}, "beta=0"),
        ("lfh", {"lam": -1}, "lam=-1"),
        ("lfh", {"n_columns": 0}, "n_columns=0"),
        ("lfh", {"n_iter": -1}, "n_iter=-1"),
        ("sdh", {"lam": 0}, "lam=0"),
        ("sdh", {"nu": -1}, "nu=-1"),
        ("sdh", {"n_iter": 0}, "n_iter=0"),
        ("sdh", {"n_sweeps": 0}, "n_sweeps=0"),
    ],
)
def test_parameters_out_of_range_are_refused(labelled, name, params, words):
    with pytest.raises(Unsupported, match=words):
        fitted(name, *labelled, **params)


@pytest.mark.parametrize("name", ALL)
def test_rows_that_are_all_the_same_are_refused(name):
    with pytest.raises(Unsupported, match="different rows"):
        fitted(name, np.ones((20, 4), np.float32), np.arange(20) % 2)


@pytest.mark.parametrize("n_bits", [2, 8])
def test_cca_itq_solves_the_generalised_eigenproblem(labelled, n_bits):
    X, y = labelled
    method = fitted("cca_itq", X, y, n_bits)
    centred, marks = X - X.mean(axis=0, dtype=float), one_hot(y) - one_hot(y).mean(axis=0)
    among = centred.T @ centred / len(X)
    cross, of_labels = centred.T @ marks / len(X), marks.T @ marks / len(X) + 1e-4 * np.eye(N_CLASSES)
    ridge = 1e-4 * np.trace(among) / 12 * np.eye(12)
    squares, vectors = scipy.linalg.eigh(cross @ np.linalg.solve(of_labels, cross.T), among + ridge)
    kept = min(n_bits, N_CLASSES - 1)
    expected = np.sqrt(squares[::-1][:kept])
    assert method.correlations_ == pytest.approx(expected, rel=1e-5)
    scaled = vectors[:, ::-1][:, :kept] * expected
    # The rotation leaves the products of directions as they are.
    assert method.directions_ @ method.directions_.T == pytest.approx(scaled @ scaled.T, abs=1e-5)
    assert (np.diff(method.losses_) <= 1e-6).all()


def test_cca_itq_finds_nothing_where_nothing_correlates():
    X = np.tile(np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32), (2, 1))
    with pytest.raises(Unsupported, match="do not correlate"):
        fitted("cca_itq", X, np.repeat([0, 1], 20))


def test_ksh_takes_leading_eigenvectors_of_what_is_left(labelled):
    X, y = labelled
    method = fitted("ksh", X, y, n_anchors=20, max_steps=0)
    K = gaussian_kernel(method, X)
    K -= K.mean(axis=0)
    R = 8 * np.where(y[:, None] == y, 1.0, -1.0)
    assert method.squared_width_ == pytest.approx(np.square(X[:, None] - method.anchors_).sum(axis=2).mean(), rel=1e-5)
    for bit in range(8):
        assert method.residuals_[bit] == pytest.approx(np.square(R).mean())
        a = scipy.linalg.eigh(K.T @ R @ K, K.T @ K)[1][:, -1]
        code = signs(K @ a)
        assert abs(code @ signs(K @ method.weights_[:, bit])) == len(X)
        R -= np.outer(code, code)
    assert (np.diff(method.residuals_) < 0).all()


def test_ksh_goes_on_from_the_eigenvectors_by_gradients(labelled):
    X, y = labelled
    without, with_them = (fitted("ksh", X, y, n_anchors=20, max_steps=steps) for steps in (0, 500))
    assert with_them.residuals_[1] <= without.residuals_[1]
    assert with_them.residuals_[-1] < without.residuals_[-1]


def test_sdh_objective_never_rises_and_ends_where_no_bit_is_better_turned(labelled):
    X, y = labelled
    method = fitted("sdh", X, y, n_anchors=30, nu=1.0, n_iter=50, n_sweeps=50)
    objectives = np.array(method.objectives_)
    assert 2 < len(objectives) < 51
    assert (np.diff(objectives) <= 1e-9 * objectives[0]).all()


def test_sdh_descends_as_in_the_paper(labelled):
    """One bit after the other, with all others taken out of B and W."""
    _, y = labelled
    rng = np.random.default_rng(0)
    B, W = signs(rng.standard_normal((400, 8))), rng.standard_normal((8, N_CLASSES))
    Q = one_hot(y) @ W.T + 0.1 * rng.standard_normal((400, 8))
    expected = B.copy()
    for _ in range(3):
        for k in range(8):
            others = np.delete(expected, k, axis=1) @ np.delete(W, k, axis=0)
            expected[:, k] = np.sign(Q[:, k] - others @ W[k])
    hashbench.load_method("sdh")(8, n_sweeps=3)._descend(B, Q, W @ W.T)
    np.testing.assert_array_equal(B, expected)


def test_sdh_hash_function_is_least_squares_to_codes_from_which_labels_follow(labelled):
    X, y = labelled
    method = fitted("sdh", X, y, n_anchors=40, unit_rows=True, sigma=0.4)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    squared = np.square(unit[:, None] - unit[np.isin(X, method.anchors_).all(axis=1)][None]).sum(axis=2)
    expected = np.exp(-squared / (2 * 0.4**2)) @ method.weights_ - method.offset_
    assert method.project(X) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("ridge", "kind"), [(0.0, "hadamard"), (0.5, "spread")])
def test_fsdh_is_least_squares_onto_the_codes_of_classes(labelled, ridge, kind):
    X, y = labelled
    method = fitted("fsdh", X, y, n_anchors=15, ridge=ridge, centres=kind)
    np.testing.assert_array_equal(method.centres_, centres(N_CLASSES, 8, kind, 0))
    Phi, B = gaussian_kernel(method, X), method.centres_[y].astype(float)
    expected = np.linalg.solve(Phi.T @ Phi + ridge * np.eye(15), Phi.T @ B)
    assert method.weights_ == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())


def test_lfh_moves_each_row_as_in_the_paper(labelled):
    _, y = labelled
    method = hashbench.load_method("lfh")(4, beta=2.0, n_columns=7, n_iter=3, random_state=0)
    rng = np.random.default_rng(0)
    U = rng.standard_normal((60, 4))
    for _ in range(3):
        drawn = rng.permutation(60)[:7]
        moved = U.copy()
        for i in range(60):
            gradient, hessian = -U[i] / 2, -np.eye(4) / 2
            for j in drawn:
                gradient = gradient + ((y[i] == y[j]) - 1 / (1 + np.exp(-U[i] @ U[j] / 2))) * U[j]
                hessian = hessian - np.outer(U[j], U[j]) / 8
            moved[i] = U[i] - gradient @ np.linalg.inv(hessian)
        U = moved
    assert method._factors(one_hot(y[:60])) == pytest.approx(U, rel=1e-9)


def test_lfh_makes_the_labels_likely_and_maps_by_least_squares(labelled):
    X, y = labelled
    similar = y[:, None] == y

    def likelihood(U):
        theta = U @ U.T / 2
        return (similar * theta - np.logaddexp(0, theta)).sum() - np.square(U).sum() / 60

    start, end = (hashbench.load_method("lfh")(8, n_iter=n, random_state=0)._factors(one_hot(y)) for n in (0, 50))
    assert likelihood(end) > likelihood(start) / 4
    method = fitted("lfh", X, y)
    centred = X - X.mean(axis=0, dtype=float)
    expected = np.linalg.solve(centred.T @ centred + np.eye(12), centred.T @ signs(end))
    assert method.directions_ == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("n_bits", "used"), [(8, N_CLASSES), (5, N_CLASSES), (4, 3)])
def test_classcode_writes_the_class_that_logistic_regression_predicts(labelled, n_bits, used):
    X, y = labelled
    method = fitted("classcode", X, 10 * y, n_bits)
    centre = X.mean(axis=0, dtype=float)
    scale = np.sqrt(np.square(X - centre).mean())
    classifier = LogisticRegression(C=method.C_, max_iter=1000).fit(((X - centre) / scale).astype(np.float32), y)
    predicted = classifier.predict((X - centre) / scale)
    assert np.bincount(predicted, minlength=N_CLASSES).min() > 0
    bits = bits_of(method, X)
    assert not bits[:, used:].any()
    expected = one_hot(predicted) if used == N_CLASSES else predicted[:, None] >> np.arange(3) & 1
    assert (bits[:, :used] == expected).all(axis=1).mean() > 0.99  # a tie may be rounded otherwise


def test_classcode_takes_two_classes_and_classes_of_single_items(labelled):
    X, y = labelled
    two = fitted("classcode", X, y > 1)
    assert (bits_of(two, X).sum(axis=1) == 1).all()
    assert ((bits_of(two, X)[:, 1] == 1) == (y > 1)).mean() > 0.8
    assert fitted("classcode", X[:6], np.arange(6)).C_ == 1.0
