"""SDC: its targets, its objective by definition, full batches of pairs, codes, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit
from scipy.stats import beta as beta_distribution

from hashbench import Unsupported, load_method
from hashbench.learning.training.encoder import run_encoder


def cosine(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def trainer_of(epochs=1):
    rates = []
    fabric = SimpleNamespace(device=torch.device("cpu"))
    return SimpleNamespace(constants={}, fabric=fabric, epochs=epochs, scale_rates=rates.append, rates=rates)


@pytest.mark.parametrize("shape", [1.0, 5.0])
def test_targets_are_quantiles_of_the_beta_distribution(shape):
    method, trainer = load_method("sdc")(8, beta=shape, batch_size=20), trainer_of()
    method.begin(trainer)
    targets = trainer.constants["targets"].numpy()
    below = beta_distribution.cdf((targets + 1) / 2, shape, shape)
    assert below == pytest.approx((np.arange(10) + 0.5) / 10, abs=1e-5)
    assert targets == pytest.approx(-targets[::-1], abs=1e-6)


def test_the_loss_by_definition():
    rng = np.random.default_rng(0)
    v, x = rng.standard_normal((12, 16)), rng.standard_normal((12, 5))
    targets = 2 * beta_distribution.ppf((np.arange(6) + 0.5) / 6, 3, 3) - 1
    ranks = cosine(x[:6], x[6:]).argsort().argsort()
    calibration = np.abs(cosine(v[:6], v[6:]) - targets[ranks]).mean()
    quantization = (1 - cosine(v, np.sign(v))).mean()
    method, trainer = load_method("sdc")(16, beta=3.0, quantization=0.5, batch_size=12), trainer_of()
    method.begin(trainer)
    batch = SimpleNamespace(features=torch.tensor(x), constants=trainer.constants)
    terms = method.loss(torch.tensor(v), batch)
    assert float(terms["calibration"]) == pytest.approx(calibration, abs=1e-6)
    assert float(terms["quantization"]) == pytest.approx(quantization, abs=1e-9)
    assert float(terms["loss"]) == pytest.approx(calibration + 0.5 * quantization, abs=1e-6)


def test_only_the_order_of_cosines_counts():
    rng = np.random.default_rng(1)
    v = torch.tensor(rng.standard_normal((8, 16)))
    angles = np.array([0.2, 2.5, 1.1, 0.7])
    method, trainer = load_method("sdc")(16, batch_size=8), trainer_of()
    method.begin(trainer)

    def loss(angles):
        first = np.tile([1.0, 0.0], (4, 1))
        x = np.concatenate([first, np.stack([np.cos(angles), np.sin(angles)], axis=1)])
        return float(method.loss(v, SimpleNamespace(features=torch.tensor(x), constants=trainer.constants))["loss"])

    assert loss(angles) == loss(angles / 3)
    assert loss(angles) != loss(angles[::-1])


def test_only_full_batches_train_and_the_rate_falls_for_the_last_fifth(data):
    sizes = []

    class Watched(load_method("sdc")):
        """Notes the sizes of batches."""

        def loss(self, outputs, batch):
            sizes.append(len(outputs))
            return super().loss(outputs, batch)

    Watched(8, batch_size=20, epochs=1, random_state=0).fit(data[:75])
    assert sizes == [20] * 3
    trainer = trainer_of(epochs=10)
    for epoch in range(1, 11):
        load_method("sdc")().start_epoch(trainer, epoch)
    assert trainer.rates == [1.0] * 8 + [0.1] * 2


@pytest.mark.parametrize("n_items", [64, 127, 5000, 50_000])
def test_steps_are_kept_on_any_size(n_items):
    per_epoch = n_items // 64
    steps = load_method("sdc")().default_epochs(n_items) * per_epoch
    assert 7_800 <= steps < 7_800 + per_epoch


def test_codes_follow_the_features_order_and_hold_the_normalisation(data):
    curve = []
    method = load_method("sdc")(16, epochs=30, lr=1e-3, random_state=0)
    method.fit(data, log=lambda **values: curve.append(values))
    assert curve[-1]["calibration"] < 0.75 * curve[0]["calibration"]
    values = method.project(data)
    assert np.abs(values.mean(axis=0)).max() < 0.5  # the running mean is subtracted
    bits = 2.0 * (values > 0) - 1
    centred = data - data.mean(axis=0)
    order = np.corrcoef(cosine(bits[:600], bits[600:]), cosine(centred[:600], centred[600:]))[0, 1]
    assert order > 0.8


def test_projecting_equals_the_exported_layers_and_leaves_rows_alone(data):
    method = load_method("sdc")(16, epochs=1, batch_size=64, random_state=0).fit(data)
    rows = data.copy()
    assert method.project(rows) == pytest.approx(run_encoder(data, vars(method)), abs=1e-5)
    assert (rows == data).all()


def test_an_interrupted_training_goes_on_bit_for_bit(data, tmp_path):
    def fit(**extras):
        return load_method("sdc")(8, epochs=5, random_state=0).fit(data, **extras)

    goes_on_bit_for_bit(fit, tmp_path, 3)


@pytest.mark.parametrize("center", [True, False])
def test_rows_that_are_all_the_same_are_refused(center):
    with pytest.raises(Unsupported, match="sdc needs at least 2 different rows, all 80 are the same"):
        load_method("sdc")(8, center=center).fit(np.full((80, 6), 3.0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=64: expected 2 to the 20 training rows"),
        ({"batch_size": 9}, "batch_size=9: expected an even number of at least 4, as rows are taken in pairs"),
        ({"batch_size": 2}, "batch_size=2: expected an even number of at least 4"),
        ({"batch_size": 10, "hidden": 0}, "hidden=0: expected at least 1"),
        ({"batch_size": 10, "beta": 0.0}, "beta=0.0: expected above 0"),
        ({"batch_size": 10, "quantization": -1.0}, "quantization=-1.0: expected at least 0"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("sdc")(8, **params).fit(X)
