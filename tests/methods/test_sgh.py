"""SGH: its decoder and objective by formula, gradients, where it starts, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hashbench import Unsupported, load_method


def network(n_features=5, n_bits=4, **params):
    torch.manual_seed(0)
    method = load_method("sgh")(n_bits, **params)
    return method, method.network(n_features).double()


def test_the_decoder_and_the_loss_by_formula():
    method, net = network(alpha=0.25)
    with torch.no_grad():
        net.scale.copy_(torch.tensor([0.5, -2.0, 1.0, 3.0, 0.1]))
        net.shift.copy_(torch.arange(5.0))
    X = np.random.default_rng(0).standard_normal((6, 5))
    W, b, U = (array.detach().numpy() for array in (net.encoder.weight.T, net.encoder.bias, net.decoder))
    h = X @ W + b
    y = (h > 0).astype(float)
    decoded = y @ U * [0.5, 2.0, 1.0, 3.0, 0.1] + np.arange(5)
    p = 1 / (1 + np.exp(-h))
    entropy = -np.log(np.where(y == 1, p, 1 - p)).sum()
    with torch.no_grad():
        outputs = net(torch.tensor(X))
    assert outputs[1].numpy() == pytest.approx(y)
    assert outputs[2].numpy() == pytest.approx(decoded)
    terms = method.loss(outputs, SimpleNamespace(features=torch.tensor(X)))
    error = ((decoded - X) ** 2).sum() / 2
    assert float(terms["loss"]) == pytest.approx(error + 0.25 * entropy)
    assert float(terms["error"]) == pytest.approx(error / 6)
    assert float(terms["entropy"]) == pytest.approx(entropy / 6)


def test_the_bits_gradient_goes_through_the_probability():
    method, net = network(alpha=0.0)
    X = torch.randn(6, 5, dtype=torch.float64)
    logits, bits, decoded = net(X)
    logits.retain_grad()
    method.loss((logits, bits, decoded), SimpleNamespace(features=X))["loss"].backward()
    to_bits = (decoded - X).detach() * net.scale.detach().abs() @ net.decoder.detach().T
    p = logits.detach().sigmoid()
    assert torch.allclose(logits.grad, p * (1 - p) * to_bits)


def test_the_weights_penalty_is_adams_decay():
    method, net = network(weight_decay=0.3)
    penalised = {
        id(parameter): group["weight_decay"]
        for group in method.optimizers(net.float()).param_groups
        for parameter in group["params"]
    }
    expected = {"encoder.weight": 0.3, "decoder": 0.3, "encoder.bias": 0.0, "scale": 0.0, "shift": 0.0}
    assert {name: penalised[id(parameter)] for name, parameter in net.named_parameters()} == expected


@pytest.mark.parametrize("center", [True, False])
def test_it_starts_from_mean_and_variance(data, center):
    method = load_method("sgh")(4, center=center)
    net = method.network(24)
    X = data.copy()
    X[:, 3] = 7.0
    method.begin(SimpleNamespace(network=net, data=SimpleNamespace(X=X)))
    variance = X.astype(np.float64).var(axis=0)
    assert net.shift.detach().numpy() == pytest.approx(0 * variance if center else X.mean(axis=0), rel=1e-5)
    assert np.delete(net.scale.detach().numpy(), 3) == pytest.approx(np.delete(variance, 3), rel=1e-4)
    assert net.scale[3].item() == pytest.approx(1e-7)


def test_it_rebuilds_better_and_centring_keeps_bits_from_being_constant(data):
    X = np.abs(data) + 20  # never negative, far off the origin
    constant, curves = {}, {}
    for center in (True, False):
        curve = curves[center] = []
        method = load_method("sgh")(16, center=center, batch_size=100, epochs=40, random_state=0)
        method.fit(X, log=lambda curve=curve, **values: curve.append(values))
        bits = np.unpackbits(method.encode(X), axis=1)
        constant[center] = np.abs(2 * bits.mean(axis=0) - 1).mean()
    assert curves[True][-1]["error"] < 0.7 * curves[True][0]["error"]
    assert constant[True] < 0.4 < constant[False]


def test_only_full_batches_train(data):
    sizes = []

    class Watched(load_method("sgh")):
        """Notes the sizes of batches."""

        def loss(self, outputs, batch):
            sizes.append(len(batch))
            return super().loss(outputs, batch)

    Watched(8, batch_size=20, epochs=1, random_state=0).fit(data[:75])
    assert sizes == [20] * 3
    for n_items in (250, 499, 5000):
        steps = load_method("sgh")().default_epochs(n_items) * (n_items // 250)
        assert 5_000 <= steps < 5_000 + n_items // 250


@pytest.mark.parametrize("center", [True, False])
def test_rows_that_are_all_the_same_are_refused(center):
    with pytest.raises(Unsupported, match="sgh needs at least 2 different rows, all 300 are the same"):
        load_method("sgh")(8, center=center).fit(np.full((300, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=250: expected 2 to the 20 training rows"),
        ({"batch_size": 10, "lr": 0.0}, "lr=0.0: expected above 0"),
        ({"batch_size": 10, "weight_decay": -1.0}, "weight_decay=-1.0: expected at least 0"),
        ({"batch_size": 10, "alpha": float("nan")}, "alpha=nan: expected a finite number"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("sgh")(8, **params).fit(X)
