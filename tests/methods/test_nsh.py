"""NSH: soft sorting and its objective by definition, centring, resuming, and what it refuses."""

import numpy as np
import pytest
import torch
from hashbench.methods.nsh import soft_sort
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((90, 20)) + 4).astype(np.float32)
    return X, (X[:, None] + 0.3 * rng.standard_normal((90, 4, 20))).astype(np.float16)


def make(**params):
    small = {"n_bits": 8, "latent": 16, "n_views": 4, "batch_size": 30, "random_state": 0}
    return load_method("nsh")(**{**small, **params})


def fit(pool, extras=None, **params):
    curve = []
    method = make(**{"epochs": 2, **params})
    return method.fit(pool[0], views=pool[1], **{"log": lambda **values: curve.append(values), **(extras or {})}), curve


def test_soft_sorting_tends_to_sorting():
    scores = torch.tensor([[0.1, 0.9, 0.4], [0.5, 0.2, 0.8]])
    weights = soft_sort(scores, 1e-3)
    assert torch.allclose(weights.sum(dim=2), torch.ones(2, 3))
    assert weights.argmax(dim=2).tolist() == [[1, 2, 0], [2, 0, 1]]
    assert torch.allclose(soft_sort(scores, 1e3), torch.full((2, 3, 3), 1 / 3), atol=1e-3)


def test_the_loss_by_definition():
    rng = np.random.default_rng(1)
    h, z = rng.standard_normal((10, 6)), rng.standard_normal((10, 4))
    m, tau, tau_s, n_bits = 2, 0.3, 0.2, 6
    b = np.tanh(h)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(5):
        s = b[i] @ b[5:].T / (2 * n_bits) + 0.5
        cosines = []
        for value in sorted(s, reverse=True):
            weights = np.exp(-np.abs(s - value) / tau_s)
            cosines.append((weights / weights.sum()) @ z[:5] @ z[5 + i])
        scores = np.exp(np.array(cosines) / tau)
        losses += [-np.log(scores[k] / (scores[k] + scores[m:].sum())) for k in range(m)]
    quantization = ((b - np.sign(b)) ** 2).mean()
    method = make(n_bits=n_bits, positives=m, temperature=tau, sort_temperature=tau_s, quantization=0.5)
    terms = method.loss((torch.tensor(h), torch.tensor(rng.uniform(1, 3, (10, 1)) * z)), None)
    assert float(terms["contrastive"]) == pytest.approx(np.mean(losses), abs=1e-9)
    assert float(terms["quantization"]) == pytest.approx(quantization, abs=1e-9)
    assert float(terms["loss"]) == pytest.approx(np.mean(losses) + 0.5 * quantization, abs=1e-9)


def test_codes_get_their_gradient_through_the_sorting():
    h = torch.randn(10, 6, dtype=torch.float64, requires_grad=True)
    latent = torch.randn(10, 4, dtype=torch.float64)
    make(n_bits=6, quantization=0.0).loss((h, latent), None)["loss"].backward()
    assert h.grad.abs().max() > 1e-4


def test_it_learns_and_centring_keeps_codes_apart(pool):
    method, curve = fit(pool, epochs=40)
    assert curve[-1]["contrastive"] < curve[0]["contrastive"] - 0.1
    assert np.abs((method.project(pool[0]) > 0).mean(axis=0) - 0.5).max() < 0.45
    raw, _ = fit(pool, epochs=40, center=False)
    bits = method.project(pool[0]) > 0, raw.project(pool[0]) > 0
    assert len(np.unique(bits[0], axis=0)) > len(np.unique(bits[1], axis=0))


def test_a_batch_without_negatives_is_left_out():
    assert [make(positives=2).rows_used(n) for n in (30, 3, 2, 1)] == [30, 3, 0, 0]


def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path):
    goes_on_bit_for_bit(lambda **extras: fit(pool, extras, epochs=4)[0], tmp_path, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 91}, "batch_size=91: expected 2 to the 90 training images"),
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 90 training images"),
        ({"batch_size": 2}, "batch_size=2: expected more than positives=2"),
        ({"latent": 0}, "latent=0: expected at least 1"),
        ({"positives": 0}, "positives=0: expected at least 1"),
        ({"temperature": 0.0}, "temperature=0.0: expected above 0"),
        ({"sort_temperature": 0.0}, "sort_temperature=0.0: expected above 0"),
        ({"quantization": -1.0}, "quantization=-1.0: expected at least 0"),
    ],
    ids=str,
)
def test_what_is_refused(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)


def test_a_batch_whose_cube_fits_no_memory_is_refused_before_training():
    X = np.zeros((1025, 4), np.float32)
    with pytest.raises(Unsupported, match="batch_size=1025: expected at most 1,024: sorting takes its cube in memory"):
        make(batch_size=1025).fit(X, views=np.zeros((1025, 4, 4), np.float16))
