"""TBH: its graph and objective by formula, its two steps, what it learns, how it resumes, and what it refuses."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method
from hashbench.learning.twin_bottleneck import hamming_graph

SMALL = {"hidden": 16, "continuous": 12, "batch_size": 100}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def small_network(n_features=5, n_bits=8, **params):
    torch.manual_seed(0)
    method = load_method("tbh")(n_bits, **{**SMALL, **params})
    net = method.network(n_features).double()
    for layer in net.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.bias)
    return method, net


def graph_by_brute_force(bits, power):
    n = len(bits)
    adjacency = np.array([[(1 - np.mean(bits[i] != bits[j])) ** power for j in range(n)] for i in range(n)])
    degrees = adjacency.sum(axis=1)
    return adjacency / np.sqrt(np.outer(degrees, degrees))


@pytest.mark.parametrize("power", [1.0, 1.4, 3.0])
def test_the_graph_by_brute_force(power):
    bits = np.random.default_rng(0).integers(2, size=(9, 6)).astype(float)
    bits[3], bits[4] = bits[5], 1 - bits[5]
    expected = graph_by_brute_force(bits, power)
    assert hamming_graph(torch.tensor(bits), power).numpy() == pytest.approx(expected, abs=1e-12)


def test_equal_codes_get_no_gradient_of_each_other():
    bits = torch.ones(4, 6, dtype=torch.float64, requires_grad=True)
    (hamming_graph(bits, 1.4) * torch.randn(4, 4, dtype=torch.float64)).sum().backward()
    assert (bits.grad == 0).all()


@pytest.mark.parametrize("center", [True, False])
def test_the_network_by_formula(center):
    _, net = small_network(center=center)
    X = np.random.default_rng(1).standard_normal((7, 5))
    layers = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)]
    first, logits, continuous, convolved, third, last, *_ = [
        lambda inputs, layer=layer: inputs @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        for layer in layers
    ]
    hidden = np.maximum(first(X), 0)
    bits = (logits(hidden) > 0).astype(float)
    values = sigmoid(graph_by_brute_force(bits, 1.4) @ convolved(sigmoid(continuous(hidden))))
    rebuilt = last(np.maximum(third(values), 0))
    with torch.no_grad():
        outputs = net(torch.tensor(X))
    assert 0 < bits.mean() < 1
    assert outputs[0].numpy() == pytest.approx(bits)
    assert outputs[1].numpy() == pytest.approx(values, abs=1e-12)
    assert outputs[2].numpy() == pytest.approx(rebuilt if center else np.maximum(rebuilt, 0), abs=1e-12)


def test_both_losses_by_formula():
    method, net = small_network(adversary=3.0)
    rng = np.random.default_rng(2)
    bits, values = rng.integers(2, size=(6, 8)).astype(float), rng.uniform(size=(6, 12))
    X, rebuilt = rng.standard_normal((2, 6, 5))
    minimised = {}
    trainer = SimpleNamespace(
        network=net.float(),
        forward=lambda batch: tuple(torch.tensor(part, dtype=torch.float32) for part in (bits, values, rebuilt)),
        minimise=lambda loss, which: minimised.update({which: loss.item()}),
    )

    class Rows(SimpleNamespace):
        def __len__(self):
            return 6

    drawn = torch.Generator().manual_seed(5)
    method.step(trainer, Rows(features=torch.tensor(X), uniform=lambda shape: torch.rand(shape, generator=drawn)))
    noise = torch.Generator().manual_seed(5)
    real = [(torch.rand(6, 8, generator=noise) > 0.5).double().numpy(), torch.rand(6, 12, generator=noise).numpy()]
    critic = 0.0
    for layer, true, made in zip(net.critics, real, (bits, values), strict=True):
        weights, bias = layer.weight.detach().numpy()[0], layer.bias.item()
        critic -= np.log(sigmoid(true @ weights + bias)).mean() + np.log(1 - sigmoid(made @ weights + bias)).mean()
    assert minimised[1] == pytest.approx(critic, rel=1e-5)
    assert minimised[0] == pytest.approx(((rebuilt - X) ** 2).sum() / 2 - 3 * critic, rel=1e-5)


def test_critics_and_autoencoder_step_from_the_same_outputs(data):
    seen = {}

    class Plain(load_method("tbh")):
        """Steps down plain gradients, once."""

        def optimizers(self, network):
            return [
                torch.optim.SGD([parameter for group in optimizer.param_groups for parameter in group["params"]], lr=1)
                for optimizer in super().optimizers(network)
            ]

        def step(self, trainer, batch):
            before, noise = deepcopy(trainer.network), deepcopy(batch.noise)
            terms = super().step(trainer, batch)
            seen.update(before=before, after=trainer.network, noise=noise, X=batch.features)
            return terms

    Plain(8, **{**SMALL, "batch_size": 20}, adversary=30.0, epochs=1, random_state=0).fit(data[:20] / 50)
    net, noise = seen["before"], seen["noise"]
    bits, values, rebuilt = net(seen["X"])
    real = (torch.rand(20, 8, generator=noise) > 0.5).float(), torch.rand(20, 12, generator=noise)
    critic = net.tell_apart(real, (bits, values))
    error = (rebuilt - seen["X"]).square().sum() / 2
    own = dict(net.critics.named_parameters(prefix="critics"))
    others = {name: parameter for name, parameter in net.named_parameters() if name not in own}
    expected = dict(zip(own, torch.autograd.grad(critic, own.values(), retain_graph=True), strict=True))
    actor = torch.autograd.grad(error - 30 * critic, others.values())
    expected |= dict(zip(others, actor, strict=True))
    for name, parameter in seen["after"].named_parameters():
        before = net.get_parameter(name)
        assert torch.allclose(parameter, before - expected[name], rtol=1e-4, atol=1e-5), name


def test_it_rebuilds_better_and_codes_keep_clusters(data):
    curve = []
    sizes = {"hidden": 64, "continuous": 32, "batch_size": 100}
    method = load_method("tbh")(16, **sizes, epochs=25, lr=1e-2, random_state=0)
    method.fit(data, log=lambda **values: curve.append(values["error"]))
    of_the_mean = np.square(data - data.mean(axis=0)).sum(axis=1).mean() / 2
    assert curve[-1] < 0.75 * of_the_mean
    bits = np.unpackbits(method.encode(data), axis=1)
    near = np.linalg.norm(data[:300, None] - data[None, :300], axis=2)
    differ = (bits[:300, None] != bits[None, :300]).mean(axis=2)
    assert np.corrcoef(near.ravel(), differ.ravel())[0, 1] > 0.4


def test_an_interrupted_training_goes_on_bit_for_bit(data, tmp_path):
    def fit(**extras):
        return load_method("tbh")(8, **SMALL, epochs=4, random_state=3).fit(data, **extras)

    goes_on_bit_for_bit(fit, tmp_path, 2)


def test_only_full_batches_train(data):
    sizes = []

    class Watched(load_method("tbh")):
        """Notes the sizes of batches."""

        def step(self, trainer, batch):
            sizes.append(len(batch))
            return super().step(trainer, batch)

    Watched(8, **{**SMALL, "batch_size": 30}, epochs=1, random_state=0).fit(data[:100])
    assert sizes == [30] * 3
    assert load_method("tbh")().default_epochs(5000) == 167  # 12 full batches of 400 each


def test_several_devices_and_equal_rows_are_refused(data):
    with pytest.raises(Unsupported, match="tbh compares all rows of a batch in its network: it trains on one device"):
        load_method("tbh")(8, **SMALL).fit(data, devices=2)
    with pytest.raises(Unsupported, match="tbh needs at least 2 different rows, all 400 are the same"):
        load_method("tbh")(8).fit(np.full((400, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=400: expected 2 to the 20 training rows"),
        ({"hidden": 0}, "hidden=0: expected at least 1"),
        ({"continuous": 0}, "continuous=0: expected at least 1"),
        ({"power": 0.5}, "power=0.5: expected at least 1"),
        ({"adversary": -1.0}, "adversary=-1.0: expected at least 0"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("tbh")(8, **({"batch_size": 10} if params else {}), **params).fit(X)
