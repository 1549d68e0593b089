"""CroVCA: its objective by definition, views normalised apart, full batches, the schedule, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import one_clear_line
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method
from hashbench.learning.losses.coding_rate import coding_rate


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 20)).astype(np.float32)
    return X, (X[:, None] + 0.3 * rng.standard_normal((90, 4, 20))).astype(np.float16)


def make(**params):
    return load_method("crovca")(**{"n_bits": 8, "n_views": 4, "batch_size": 30, "random_state": 0, **params})


def fit(pool, extras=None, **params):
    curve = []
    method = make(**{"epochs": 2, **params})
    return method.fit(pool[0], views=pool[1], **{"log": lambda **values: curve.append(values), **(extras or {})}), curve


def rate(logits, eps):
    m, k = logits.shape
    Z = logits / np.linalg.norm(logits, axis=1, keepdims=True)
    return 0.5 * np.linalg.slogdet(np.eye(k) + k / (m * eps) * Z.T @ Z)[1] * (k + m) / (k * m)


def test_the_loss_by_definition():
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((2, 7, 12))

    def cross_entropy(logits, bits):
        p = 1 / (1 + np.exp(-logits))
        return -(bits * np.log(p) + (1 - bits) * np.log(1 - p)).mean()

    alignment = (cross_entropy(one, other > 0) + cross_entropy(other, one > 0)) / 2
    spread = (rate(one, 0.1) + rate(other, 0.1)) / 2
    terms = make(n_bits=12, rate_weight=0.3, eps=0.1).loss(torch.tensor(np.concatenate([one, other])).float(), None)
    assert float(terms["alignment"]) == pytest.approx(alignment, rel=1e-5)
    assert float(terms["coding_rate"]) == pytest.approx(spread, rel=1e-5)
    assert float(terms["loss"]) == pytest.approx(alignment - 0.3 * spread, rel=1e-5)


def test_one_code_for_all_has_the_smallest_coding_rate():
    spread = torch.eye(8).repeat(4, 1)
    assert coding_rate(torch.ones(32, 8), 0.05) < coding_rate(spread[:, :2], 0.05) * 2 < 2 * coding_rate(spread, 0.05)


def test_views_are_normalised_apart():
    views = torch.randn(60, 20)
    network = make().network(20)
    outputs = network(torch.cat([views[:30], views[30:] + 5]))
    assert outputs[:30].mean(dim=0).abs().max() < 1e-5
    assert outputs[30:].mean(dim=0).abs().max() < 1e-5


def test_it_learns_and_the_numpy_encoder_holds_the_normalisation(pool):
    method, curve = fit(pool, epochs=40)
    assert curve[-1]["alignment"] < curve[0]["alignment"] - 0.05
    values = method.project(pool[0])
    assert values.shape == (90, 8)
    assert np.abs(values.mean(axis=0)).max() < 0.5 * values.std(axis=0).min()


def test_only_full_batches_train_and_steps_are_kept():
    method = make()
    assert [method.rows_used(n) for n in (30, 29, 1)] == [30, 0, 0]
    assert load_method("crovca")().default_epochs(50_000) == 5
    assert load_method("crovca")().default_epochs(5_000) == 52


def test_the_rate_falls_along_half_a_cosine():
    rates = []
    trainer = SimpleNamespace(epochs=4, scale_rates=rates.append)
    for epoch in range(1, 5):
        make(lr=1e-3, min_lr=1e-4).start_epoch(trainer, epoch)
    assert rates == pytest.approx([0.1 + 0.9 * (1 + np.cos(np.pi * t / 4)) / 2 for t in range(4)])


def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path):
    goes_on_bit_for_bit(lambda **extras: fit(pool, extras, epochs=4)[0], tmp_path, 3)


def test_a_loss_that_is_not_finite_names_the_epoch(pool):
    with pytest.raises(FloatingPointError, match="the loss is not finite in epoch 1"):
        fit(pool, lr=1e30)


def test_vectors_have_no_views(tmp_path, cli):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32))
    run = ("run", "--dataset", "vectors", "--data-dir", tmp_path / "rows.npy", "--bits", 8, "--out", tmp_path / "out")
    one_clear_line(cli(*run, "--methods", "crovca,nsh"), "no cell could run", "it trains on augmented images")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 91}, "batch_size=91: expected 2 to the 90 training images"),
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 90 training images"),
        ({"hidden": 0}, "hidden=0: expected at least 1"),
        ({"rate_weight": -1.0}, "rate_weight=-1.0: expected at least 0"),
        ({"eps": 0.0}, "eps=0.0: expected above 0"),
        ({"min_lr": 0.1}, "min_lr=0.1: expected 0 to lr"),
        ({"n_views": 1}, "n_views=1"),
    ],
    ids=str,
)
def test_what_is_refused(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)


@pytest.mark.parametrize("n_views", [2, "fresh"])
def test_a_batch_larger_than_the_training_set_is_skipped_whatever_the_pool(tmp_path, cli, photos_plugin, n_views):
    asked = ["--plugin", photos_plugin, "--dataset", "photos", "--backbone", "pixels", "--seeds", 0, "--in-process"]
    done = cli("run", *asked, "--methods", f"crovca[n_views={n_views}]", "--bits", 8, "--out", tmp_path / "out")
    assert "skipped: batch_size=256: expected 2 to the 60 training images" in done.stdout, done.stderr
