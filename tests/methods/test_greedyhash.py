"""Unsupervised GreedyHash: its objective by definition, pairs, centring, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hashbench import Unsupported, evaluate, load_method


def test_the_loss_by_definition():
    rng = np.random.default_rng(0)
    h, x = rng.standard_normal((6, 16)), rng.standard_normal((6, 5))
    codes = np.where(h > 0, 1.0, -1.0)

    def cosine(a, b):
        return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    similarity = np.mean((cosine(codes[:3], codes[3:]) - cosine(x[:3], x[3:])) ** 2)
    penalty = np.mean(np.abs(np.abs(h) - 1) ** 3)
    batch = SimpleNamespace(features=torch.tensor(x))
    terms = load_method("greedyhash")(16, penalty=0.3).loss(torch.tensor(h), batch)
    assert float(terms["similarity"]) == pytest.approx(similarity, abs=1e-12)
    assert float(terms["penalty"]) == pytest.approx(penalty, abs=1e-12)
    assert float(terms["loss"]) == pytest.approx(similarity + 0.3 * penalty, abs=1e-12)


def test_the_signs_gradient_is_the_codes():
    h = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    batch = SimpleNamespace(features=torch.randn(4, 3, dtype=torch.float64))
    method = load_method("greedyhash")(8, penalty=0.0)
    method.loss(h, batch)["loss"].backward()
    codes = torch.sign(h.detach()).requires_grad_()
    similarity = torch.cosine_similarity(*codes.chunk(2)) - torch.cosine_similarity(*batch.features.chunk(2))
    similarity.square().mean().backward()
    assert torch.allclose(h.grad, codes.grad)
    assert h.grad.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "expected"), [(65, 32, [32, 32]), (67, 32, [32, 32, 2]), (9, 6, [6, 2])]
)
def test_a_row_without_a_partner_is_left_out(n_rows, batch_size, expected):
    sizes = []
    method_class = load_method("greedyhash")

    class Watched(method_class):
        """Notes the sizes of batches."""

        def loss(self, outputs, batch):
            sizes.append(len(outputs))
            return super().loss(outputs, batch)

    X = np.random.default_rng(0).standard_normal((n_rows, 5)).astype(np.float32)
    Watched(8, batch_size=batch_size, epochs=1, random_state=0).fit(X)
    assert sizes == expected


@pytest.mark.slow
def test_it_learns_and_centring_keeps_bits_from_being_constant(data):
    X = np.abs(data) + 2  # never negative, far off the origin
    curve, constant = [], {}
    for center in (True, False):
        method = load_method("greedyhash")(16, center=center, epochs=60, random_state=0)
        method.fit(X, log=lambda **values: curve.append(values))
        bits = np.unpackbits(method.encode(X), axis=1)
        constant[center] = np.abs(2 * bits.mean(axis=0) - 1).mean()
    assert curve[59]["similarity"] < 0.8 * curve[0]["similarity"]
    assert constant[True] < 0.3 < 0.6 < constant[False]


@pytest.mark.slow
def test_it_is_better_than_random_directions_on_digits(digits):
    features = digits.images.reshape(len(digits.images), -1).astype(np.float32) / 255
    split, labels = digits.split, digits.labels
    scores = {}
    for name, params in (("greedyhash", {"epochs": 60, "lr": 0.01}), ("rr", {})):
        method = load_method(name)(32, random_state=0, **params).fit(features[split.train])
        codes = [method.encode(features[part]) for part in (split.query, split.database)]
        scores[name] = evaluate(*codes, labels[split.query], labels[split.database], ["mAP@all"])["mAP@all"]
    assert scores["greedyhash"] > scores["rr"] + 0.03


def test_steps_are_kept_on_any_size():
    method = load_method("greedyhash")()
    for n_items in (64, 5000, 50_000):
        steps = method.default_epochs(n_items) * -(-n_items // 32)
        assert 20_000 <= steps < 20_000 + -(-n_items // 32)


@pytest.mark.parametrize("center", [True, False])
def test_rows_that_are_all_the_same_are_refused(center):
    with pytest.raises(Unsupported, match="greedyhash needs at least 2 different rows, all 40 are the same"):
        load_method("greedyhash")(8, center=center).fit(np.full((40, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 20 training rows"),
        ({}, "batch_size=32: expected 2 to the 20 training rows"),
        ({"batch_size": 10, "penalty": -1.0}, "penalty=-1.0: expected at least 0"),
        ({"batch_size": 10, "momentum": 1.0}, "momentum=1.0: expected at least 0 and below 1"),
        ({"batch_size": 10, "epochs": 0}, "epochs=0"),
        ({"batch_size": 9}, "batch_size=9: expected an even number of at least 4"),
        ({"batch_size": 10, "lr": 0.0}, "lr=0.0"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("greedyhash")(8, **params).fit(X)


def test_a_single_row_is_refused():
    with pytest.raises(Unsupported, match="n_samples=1"):
        load_method("greedyhash")(8).fit(np.ones((1, 6)))
