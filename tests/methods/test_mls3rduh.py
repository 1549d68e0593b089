"""MLS3RDUH: its similarity by brute force, its objective, what it learns, its memory, and what it refuses."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from sklearn.cluster import KMeans

from hashbench import Unsupported, load_method
from hashbench.learning.manifold import manifold_similarity, rows_that_fit


def by_brute_force(X, n_near, n_reached, alpha):
    """Return the similarity pair by pair, with an inverse in float64."""
    n = len(X)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit @ unit.T
    near = [set(sorted((j for j in range(n) if j != i), key=lambda j: -cosines[i, j])[:n_near]) for i in range(n)]
    near = [{j for j in row if cosines[i, j] > 1e-4} for i, row in enumerate(near)]
    graph = np.array([[cosines[i, j] if j in near[i] and i in near[j] else 0 for j in range(n)] for i in range(n)])
    degrees = graph.sum(axis=1)
    tied = [i for i in range(n) if degrees[i] > 0]
    normal = graph[np.ix_(tied, tied)] / np.sqrt(np.outer(degrees[tied], degrees[tied]))
    along = (1 - alpha) * np.linalg.inv(np.eye(len(tied)) - alpha * normal)
    marks = {}
    for row, i in enumerate(tied):
        by_nearness = sorted((c for c in range(len(tied)) if along[row, c] > 1e-9), key=lambda c: -along[row, c])
        reached = {tied[c] for c in by_nearness[:n_reached]}
        for j in near[i] & set(tied):
            for pair in ((i, j), (j, i)):
                marks[pair] = max(marks.get(pair, 0), int(j in reached))
    expected = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            cosine = 1.0 if cosines[i, j] > 0.999 else max(cosines[i, j], 0)
            expected[i, j] = 2 * marks.get((i, j), cosine) - 1
            if cosines[i, j] > 0.999:
                expected[i, j] = 1
    return expected, len(tied), marks


@pytest.mark.parametrize(("n_near", "n_reached"), [(5, 7), (8, 6), (2, 3), (1, 1)])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_the_similarity_by_brute_force(n_near, n_reached, shift):
    X = np.random.default_rng(3).standard_normal((40, 4)).astype(np.float32) + np.float32(shift)
    expected, n_tied, marks = by_brute_force(X.astype(np.float64), n_near, n_reached, 0.99)
    assert n_tied > 0
    assert set(marks.values()) == ({0, 1} if n_near > 1 else {0})
    assert manifold_similarity(X, n_near, n_reached, 0.99) == pytest.approx(expected, abs=1e-5)


def test_a_row_of_zeros_is_like_itself_alone():
    X = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    X[7] = 0
    similarity = manifold_similarity(X, 3, 5, 0.99)
    assert similarity[7, 7] == 1
    assert (np.delete(similarity[7], 7) == -1).all()
    assert np.isfinite(similarity).all()


def test_the_loss_by_definition():
    rng = np.random.default_rng(0)
    h, similarity, rows = (
        np.tanh(rng.standard_normal((6, 16))),
        rng.uniform(-1, 1, (9, 9)),
        np.array([3, 0, 8, 4, 1, 7]),
    )
    expected = np.log(np.cosh(h @ h.T / 16 - similarity[np.ix_(rows, rows)])).mean()
    batch = SimpleNamespace(rows=torch.tensor(rows), constants={"similarity": torch.tensor(similarity)})
    assert float(load_method("mls3rduh")(16).loss(torch.tensor(h), batch)["loss"]) == pytest.approx(expected, abs=1e-12)


def test_codes_keep_clusters(data):
    curve = []
    method = load_method("mls3rduh")(16, center=True, epochs=60, random_state=0)
    method.fit(data, log=lambda **values: curve.append(values["loss"]))
    assert curve[-1] < 0.9 * curve[0]
    clusters = KMeans(6, n_init=3, random_state=0).fit_predict(data)
    bits = 2.0 * np.unpackbits(method.encode(data), axis=1) - 1
    agreement = bits @ bits.T / 16
    together = clusters[:, None] == clusters
    assert agreement[together].mean() > agreement[~together].mean() + 0.5


def test_features_are_compared_as_they_are_trained_on(data):
    kept = {}
    for center in (True, False):

        class Watched(load_method("mls3rduh")):
            """Keeps what was begun with."""

            def begin(self, trainer):
                super().begin(trainer)
                kept[self.center] = trainer.constants["similarity"].numpy()

        Watched(8, center=center, epochs=1, random_state=0).fit(data[:200])
    centred = data[:200] - data[:200].mean(axis=0)
    for center, X in ((True, centred), (False, data[:200])):
        assert kept[center] == pytest.approx(manifold_similarity(X, 12, 18, 0.99), abs=1e-5)


def test_more_rows_than_fit_in_memory_are_refused_before_training(data, monkeypatch):
    def begin(self, trainer):
        raise AssertionError("training has begun")

    monkeypatch.setattr(load_method("mls3rduh"), "begin", begin)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16 * 1000**2 + 15))
    message = "1,200 training rows: mls3rduh compares all pairs, .* 1,000 rows would fit"
    with pytest.raises(Unsupported, match=message):
        load_method("mls3rduh")(8).fit(data)
    assert rows_that_fit(16 * 1000**2) == 1000


def test_memory_per_pair_is_as_stated():
    X = np.random.default_rng(0).standard_normal((1500, 8)).astype(np.float32)
    tracemalloc.start()
    manifold_similarity(X, 90, 135, 0.99)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows_that_fit(peak) <= 1500


@pytest.mark.parametrize("center", [True, False])
def test_rows_that_are_all_the_same_are_refused(center):
    with pytest.raises(Unsupported, match="mls3rduh needs at least 2 different rows, all 200 are the same"):
        load_method("mls3rduh")(8, center=center).fit(np.full((200, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=128: expected 2 to the 20 training rows"),
        ({"neighbors": 0.04}, "neighbors=0.04: expected a share below 1 that is at least one of the 20 training rows"),
        ({"neighbors": 1.0}, "neighbors=1.0: expected a share below 1"),
        ({"manifold_ratio": 0.5}, "manifold_ratio=0.5: expected at least 1"),
        ({"alpha": 1.0}, "alpha=1.0: expected above 0 and below 1"),
        ({"dropout": 1.0}, "dropout=1.0: expected at least 0 and below 1"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("mls3rduh")(8, **({"batch_size": 10} if params else {}), **params).fit(X)
