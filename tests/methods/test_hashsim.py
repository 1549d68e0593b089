"""HashSIM: its objective by definition, the fixed views of its similarity, resuming, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method
from hashbench.learning.training.view_batches import ViewPool


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((90, 20)) + 4).astype(np.float32)
    return X, (X[:, None] + 0.3 * rng.standard_normal((90, 4, 20))).astype(np.float16)


def make(**params):
    return load_method("hashsim")(**{"n_bits": 8, "n_views": 4, "epochs": 2, "random_state": 0, **params})


def fit(pool, extras=None, **params):
    curve = []
    method = make(**params)
    return method.fit(pool[0], views=pool[1], **{"log": lambda **values: curve.append(values), **(extras or {})}), curve


def batch_of(pool, images, scaling=None):
    data = ViewPool(pool[1], scaling=scaling)
    data.fabric = SimpleNamespace(device=torch.device("cpu"))
    return SimpleNamespace(data=data, index=np.stack([images, np.full_like(images, 3), np.full_like(images, 2)]))


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_the_loss_by_definition(pool):
    rng = np.random.default_rng(1)
    n, n_bits, tau = 9, 6, 0.7
    h, images, mean = rng.uniform(-1, 1, (2 * n, n_bits)), rng.permutation(90)[:n], pool[0].mean(axis=0)
    columns = np.concatenate([h[:n].T, h[n:].T])
    contrastive = 0.0
    for i in range(2 * n_bits):
        scores = [np.exp(cosine(columns[i], columns[j]) / tau) for j in range(2 * n_bits)]
        contrastive -= np.log(scores[(i + n_bits) % (2 * n_bits)] / (sum(scores) - scores[i])) / (2 * n_bits)
    similarity = 0.0
    for view in range(2):
        codes, features = h[view * n :][:n], pool[1][images, view].astype(np.float64) - mean
        for i in range(n):
            for j in range(n):
                target = 2 * cosine(features[i], features[j]) - 1
                similarity += (codes[i] @ codes[j] / n_bits - target) ** 2 / n**2
    method = make(n_bits=n_bits, temperature=tau, similarity_weight=0.5)
    terms = method.loss(torch.tensor(h), batch_of(pool, images, (mean, 1.0)))
    assert float(terms["contrastive"]) == pytest.approx(contrastive, abs=1e-9)
    assert float(terms["similarity"]) == pytest.approx(similarity, abs=1e-5)
    assert float(terms["loss"]) == pytest.approx(contrastive + 0.5 * similarity, abs=1e-5)


def test_bits_that_are_equal_are_worse_than_bits_that_differ(pool):
    rng = np.random.default_rng(2)
    images = np.arange(20)
    different, equal = rng.choice([-0.9, 0.9], (20, 8)), np.repeat(rng.choice([-0.9, 0.9], (20, 1)), 8, axis=1)
    losses = [
        float(make().loss(torch.tensor(np.concatenate([h, h])), batch_of(pool, images))["contrastive"])
        for h in (different, equal)
    ]
    assert losses[0] < losses[1] - 0.3


def test_it_learns_and_centring_keeps_bits_apart(pool):
    method, curve = fit(pool, epochs=60, lr=0.05)
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.1
    assert np.abs((method.project(pool[0]) > 0).mean(axis=0) - 0.5).max() < 0.45
    raw, _ = fit(pool, epochs=60, lr=0.05, center=False)
    bits = method.project(pool[0]) > 0, raw.project(pool[0]) > 0
    assert len(np.unique(bits[0], axis=0)) > len(np.unique(bits[1], axis=0))


def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path):
    goes_on_bit_for_bit(lambda **extras: fit(pool, extras, epochs=5)[0], tmp_path, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 91}, "batch_size=91: expected 2 to the 90 training images"),
        ({"temperature": 0.0}, "temperature=0.0: expected above 0"),
        ({"similarity_weight": -1.0}, "similarity_weight=-1.0: expected at least 0"),
        ({"finetune": 1e-5}, "finetune=1e-05: expected 0, since the similarity is that of features that do not change"),
        ({"finetune": 1e-5, "center": False}, "finetune=1e-05: expected 0"),
    ],
    ids=str,
)
def test_what_is_refused(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)
