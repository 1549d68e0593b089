"""Clusters of all training rows: the images' features beside the views, the Poincaré ball, and k-means in it."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from hashbench import Unsupported
from hashbench.learning.clusters.clean_pool import CleanViewPool
from hashbench.learning.clusters.clean_views import CleanViewsMethod
from hashbench.learning.clusters.poincare import distances, hierarchy, kmeans, to_ball

CURVATURE = 0.3


class Watched(CleanViewsMethod):
    """Notes what an epoch starts with."""

    n_views: int = 3

    def network(self, n_features):
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_features, self.n_bits))

    def scaling(self, X):
        return X.mean(axis=0), 2.0

    def start_epoch(self, trainer, epoch):
        outputs = [self.clean_outputs(trainer, trainer.network) for _ in range(2)]
        seen.append((self.clean_outputs(trainer, lambda block: block), *outputs, trainer.network.training))

    def loss(self, outputs, batch):
        assert len(batch.features) == 2 * len(batch)
        return {"loss": outputs.square().mean()}


seen = []


def points(n, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, 3))
    return vectors / (1 + np.linalg.norm(vectors, axis=1, keepdims=True)) / CURVATURE**0.5


def distance(x, y, c=CURVATURE):
    x = -x
    inner, xx, yy = x @ y, x @ x, y @ y
    added = ((1 + 2 * c * inner + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * inner + c**2 * xx * yy)
    return 2 / c**0.5 * np.arctanh(c**0.5 * np.linalg.norm(added))


def midpoint(group, c=CURVATURE):
    klein = np.array([2 * x / (1 + c * x @ x) for x in group])
    lorentz = np.array([1 / np.sqrt(1 - c * k @ k) for k in klein])
    mean = (lorentz[:, None] * klein).sum(axis=0) / lorentz.sum()
    return mean / (1 + np.sqrt(1 - c * mean @ mean))


def slow_kmeans(rows, n_clusters, seed):
    centres = rows[np.random.default_rng(seed).choice(len(rows), n_clusters, replace=False)]
    for _ in range(30):
        nearest = np.array([np.argmin([distance(x, y) for y in centres]) for x in rows])
        used = sorted(set(nearest))
        assigned = np.array([used.index(one) for one in nearest])
        centres = np.array([midpoint(rows[assigned == k]) for k in range(len(used))])
    return centres, assigned


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50, 6)) + 3).astype(np.float32)
    return X, (X[:, None] + 0.1 * rng.standard_normal((50, 3, 6))).astype(np.float16)


def test_all_images_are_seen_in_order_without_dropout_and_batches_hold_views(pool, monkeypatch):
    monkeypatch.setattr("hashbench.learning.clusters.clean_pool.BLOCK_ROWS", 20)
    seen.clear()
    Watched(4, batch_size=10, epochs=2, random_state=0).fit(pool[0], views=pool[1])
    assert len(seen) == 2
    for features, once, again, training in seen:
        assert features.numpy() == pytest.approx((pool[0] - pool[0].mean(axis=0)) / 2, abs=1e-6)
        assert torch.equal(once, again)
        assert not once.requires_grad
        assert training
    assert not torch.equal(seen[0][1], seen[1][1])


def test_a_trained_backbone_is_refused(pool):
    with pytest.raises(Unsupported, match=r"finetune=0.1: expected 0, since it needs features of the images"):
        Watched(4, batch_size=10, finetune=0.1).fit(pool[0], views=pool[1])


def test_a_pool_is_sent_to_other_processes_with_the_images_features(pool):
    sent = pickle.loads(pickle.dumps(CleanViewPool(*pool, True, (pool[0].mean(axis=0), 2.0), np.arange(50))))
    assert np.array_equal(sent.X, pool[0])
    assert (sent.views == pool[1]).all()
    assert sent.fresh
    assert sent.scaling[1] == 2.0
    assert (sent.labels == np.arange(50)).all()


def test_distances_are_those_of_moebius_addition():
    one, other = points(7), points(5, seed=1)
    found = distances(torch.tensor(one), torch.tensor(other), CURVATURE).numpy()
    assert found == pytest.approx(np.array([[distance(x, y) for y in other] for x in one]), abs=1e-9)


def test_equal_points_and_zeros_have_finite_gradients():
    vectors = torch.zeros(4, 3, requires_grad=True)
    distances(to_ball(vectors, CURVATURE, 2.0), to_ball(vectors, CURVATURE, 2.0), CURVATURE).sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_vectors_are_cut_and_mapped_by_the_exponential_map():
    vectors = np.random.default_rng(2).standard_normal((6, 3)) * np.array([[0.1], [0.5], [1], [2], [5], [50]])
    cut = vectors * np.minimum(1, 1.5 / np.linalg.norm(vectors, axis=1, keepdims=True))
    lengths = CURVATURE**0.5 * np.linalg.norm(cut, axis=1, keepdims=True)
    found = to_ball(torch.tensor(vectors), CURVATURE, 1.5).numpy()
    assert found == pytest.approx(np.tanh(lengths) * cut / lengths, abs=1e-12)


@pytest.mark.parametrize("n_clusters", [2, 5, 12])
def test_kmeans_by_definition(n_clusters):
    rows = points(30)
    level = kmeans(rows, n_clusters, CURVATURE, np.random.default_rng(3))
    centres, assigned = slow_kmeans(rows, n_clusters, 3)
    assert (level.assigned == assigned).all()
    assert level.centres == pytest.approx(centres, abs=1e-12)


def test_blocks_change_nothing(monkeypatch):
    whole = kmeans(points(60), 7, CURVATURE, np.random.default_rng(3))
    monkeypatch.setattr("hashbench.learning.clusters.poincare.BLOCK_ROWS", 9)
    assert (kmeans(points(60), 7, CURVATURE, np.random.default_rng(3)).assigned == whole.assigned).all()


def test_empty_clusters_are_dropped():
    rows = np.repeat(points(3), 20, axis=0)
    level = kmeans(rows, 10, CURVATURE, np.random.default_rng(0))
    assert len(level.centres) == len(set(level.assigned)) <= 3
    assert len(kmeans(points(4), 10, CURVATURE, np.random.default_rng(0)).centres) == 4


def test_a_level_clusters_the_centres_of_the_one_below():
    rows = points(80)
    levels = hierarchy(rows, (20, 8, 3), CURVATURE, np.random.default_rng(4))
    assert [len(level.centres) for level in levels] == [20, 8, 3]
    rng = np.random.default_rng(4)
    fine = kmeans(rows, 20, CURVATURE, rng)
    middle = kmeans(fine.centres, 8, CURVATURE, rng)
    assert (levels[0].assigned == fine.assigned).all()
    assert (levels[1].assigned == middle.assigned[fine.assigned]).all()
    for below, above in itertools.pairwise(levels):
        assert len({*zip(below.assigned, above.assigned, strict=True)}) == len(below.centres)
