"""BiHalf: its layer is balanced and nearest, its gradient is the paper's, its rates fall, and what it refuses."""

import sys
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hashbench import Unsupported, load_method


def layer(outputs):
    return sys.modules[load_method("bihalf").__module__].bi_half(outputs)


@pytest.mark.parametrize("n_rows", [2, 7, 32])
def test_half_of_a_batch_has_each_bit(n_rows):
    outputs = torch.randn(n_rows, 9, generator=torch.Generator().manual_seed(0)) + 5
    codes = layer(outputs)
    assert ((codes == 1) | (codes == -1)).all()
    assert ((codes == 1).sum(dim=0) == n_rows // 2).all()


def test_ties_are_balanced_too():
    assert (layer(torch.zeros(6, 2)).sum(dim=0) == 0).all()


def test_the_codes_are_the_nearest_balanced_ones():
    outputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    codes = layer(outputs)
    for column in range(3):
        balanced = np.array([np.where(np.isin(np.arange(8), ones), 1, -1) for ones in combinations(range(8), 4)])
        distances = ((balanced - outputs[:, column].numpy()) ** 2).sum(axis=1)
        assert (codes[:, column].numpy() == balanced[distances.argmin()]).all()


def test_the_loss_by_definition():
    rng = np.random.default_rng(0)
    u, x = rng.standard_normal((6, 16)), rng.standard_normal((6, 5))
    codes = np.where(u > np.sort(u, axis=0)[2], 1.0, -1.0)

    def cosine(a, b):
        return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    similarity = np.mean((cosine(codes[:3], codes[3:]) - cosine(x[:3], x[3:])) ** 2)
    terms = load_method("bihalf")(16).loss(torch.tensor(u), SimpleNamespace(features=torch.tensor(x)))
    assert float(terms["similarity"]) == pytest.approx(similarity, abs=1e-12)
    assert float(terms["loss"]) == pytest.approx(similarity + 3 * np.mean((u - codes) ** 2), abs=1e-12)


def test_the_gradient_is_the_codes_plus_what_draws_outputs_to_them():
    u = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    batch = SimpleNamespace(features=torch.randn(6, 3, dtype=torch.float64))
    load_method("bihalf")(8, gamma=6.0).loss(u, batch)["loss"].backward()
    codes = layer(u.detach()).requires_grad_()
    similarity = torch.cosine_similarity(*codes.chunk(2)) - torch.cosine_similarity(*batch.features.chunk(2))
    similarity.square().mean().backward()
    drawn = 6.0 * (u.detach() - codes.detach()) / codes.numel()
    assert torch.allclose(u.grad, codes.grad + drawn)


def test_a_row_without_a_partner_is_left_out(data):
    sizes = []

    class Watched(load_method("bihalf")):
        """Notes the sizes of batches."""

        def loss(self, outputs, batch):
            sizes.append(len(outputs))
            return super().loss(outputs, batch)

    Watched(8, epochs=1, random_state=0).fit(data[:67])
    assert sizes == [32, 32, 2]


def test_the_rate_falls_twice_and_steps_are_kept():
    rates, method = [], load_method("bihalf")()
    for epoch in range(1, 301):
        method.start_epoch(SimpleNamespace(epochs=300, scale_rates=rates.append), epoch)
    assert rates == pytest.approx([1.0] * 120 + [0.1] * 120 + [0.01] * 60)
    assert method.default_epochs(5000) == 300
    assert method.default_epochs(50_000) == 31


@pytest.mark.slow
@pytest.mark.parametrize("center", [True, False])
def test_bits_stay_balanced_where_features_are_never_negative(data, center):
    X = np.abs(data) + 2
    curve = []
    method = load_method("bihalf")(16, center=center, epochs=60, lr=1e-3, random_state=0)
    method.fit(X, log=lambda **values: curve.append(values))
    bits = np.unpackbits(method.encode(X), axis=1)
    assert np.abs(2 * bits.mean(axis=0) - 1).mean() < 0.2
    assert curve[-1]["loss"] < 0.9 * curve[0]["loss"]


@pytest.mark.parametrize("center", [True, False])
def test_rows_that_are_all_the_same_are_refused(center):
    with pytest.raises(Unsupported, match="bihalf needs at least 2 different rows, all 40 are the same"):
        load_method("bihalf")(8, center=center).fit(np.full((40, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=32: expected 2 to the 20 training rows"),
        ({"batch_size": 15}, "batch_size=15: expected an even number of at least 4, as rows are taken in pairs"),
        ({"batch_size": 10, "gamma": -1.0}, "gamma=-1.0: expected at least 0"),
        ({"batch_size": 10, "momentum": 1.0}, "momentum=1.0: expected at least 0 and below 1"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("bihalf")(8, **params).fit(X)
