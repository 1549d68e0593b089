"""CIBHash's objective against its definition, and the training's promises."""

import numpy as np
import pytest
import torch
from hashbench.methods.cibhash.losses import binarize, nt_xent, symmetric_kl
from hashbench.methods.cibhash.training import default_epochs

from hashbench import Unsupported, load_method


def test_nt_xent_by_definition():
    rng = np.random.default_rng(0)
    first, second = np.sign(rng.standard_normal((2, 5, 16)))
    codes = np.concatenate([first, second])
    norms = np.linalg.norm(codes, axis=1)
    similarity = codes @ codes.T / np.outer(norms, norms)
    terms = []
    for i in range(10):
        partner = (i + 5) % 10
        others = [np.exp(similarity[i, j] / 0.3) for j in range(10) if j != i]
        terms.append(-np.log(np.exp(similarity[i, partner] / 0.3) / sum(others)))
    found = nt_xent(torch.tensor(first), torch.tensor(second), 0.3)
    assert float(found) == pytest.approx(np.mean(terms), abs=1e-12)


def test_the_cosine_keeps_its_own_gradient():
    # The gradient of a cosine is orthogonal to its vector; a plain scaled product's is not.
    codes = torch.sign(torch.randn(8, 32, dtype=torch.float64)).requires_grad_()
    nt_xent(codes[:4], codes[4:], 0.3).backward()
    assert torch.allclose((codes * codes.grad).sum(dim=1), torch.zeros(8, dtype=torch.float64), atol=1e-12)
    assert codes.grad.abs().max() > 1e-3


def test_symmetric_kl_by_definition():
    rng = np.random.default_rng(1)
    p, q = rng.uniform(0.05, 0.95, (2, 7, 12))

    def kl(a, b):
        return (a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))).sum(axis=1).mean()

    found = symmetric_kl(torch.tensor(p), torch.tensor(q))
    assert float(found) == pytest.approx((kl(p, q) + kl(q, p)) / 2, abs=1e-5)


def test_each_direction_of_the_kl_holds_its_target_constant():
    p = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([[0.6]], dtype=torch.float64)
    symmetric_kl(p, q).backward()
    # d/dp KL(p‖q) / 2 alone: the other direction's p is detached.
    assert float(p.grad) == pytest.approx((np.log(0.3 / 0.6) - np.log(0.7 / 0.4)) / 2, abs=1e-6)


def test_codes_are_never_zero_and_pass_the_gradient_on():
    p = torch.tensor([[0.2, 0.5, 0.9]], requires_grad=True)
    codes = binarize(p, 0.5)
    assert codes.tolist() == [[-1.0, -1.0, 1.0]]
    codes.sum().backward()
    assert p.grad.tolist() == [[1.0, 1.0, 1.0]]


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 20)).astype(np.float32)
    views = (X[:, None] + 0.3 * rng.standard_normal((90, 6, 20))).astype(np.float16)
    return X, views


def fit(pool, **params):
    X, views = pool
    curve = []
    method = load_method("cibhash")(**{"n_bits": 8, "n_views": 6, "epochs": 2, "random_state": 0, **params})
    return method.fit(X, views=views, log=lambda **values: curve.append(values)), curve


def test_training_learns_and_repeats_itself(pool):
    one, curve = fit(pool, epochs=15)
    two, _ = fit(pool, epochs=15)
    assert (one.encode(pool[0]) == two.encode(pool[0])).all()
    assert curve[-1]["contrastive"] < curve[0]["contrastive"] - 0.1
    assert [entry["epoch"] for entry in curve] == list(range(1, 16))
    other, _ = fit(pool, epochs=15, random_state=1)
    assert (one.encode(pool[0]) != other.encode(pool[0])).any()
    for entry in curve:
        assert entry["loss"] == pytest.approx(entry["contrastive"] + 0.001 * entry["kl"], rel=1e-5)


def test_the_numpy_head_equals_torchs(pool):
    method, _ = fit(pool)
    X = torch.from_numpy(pool[0])
    hidden = torch.relu(X @ torch.from_numpy(method.weights1_) + torch.from_numpy(method.bias1_))
    expected = hidden @ torch.from_numpy(method.weights2_) + torch.from_numpy(method.bias2_)
    assert np.allclose(method.project(pool[0]), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("n_bits", "n_images", "expected"),
    [(16, 5000, 80), (32, 5000, 60), (64, 50_000, 60), (32, 1497, 100), (16, 64, 2400)],
)
def test_the_authors_schedule(n_bits, n_images, expected):
    assert default_epochs(n_bits, n_images, 64) == expected


def test_the_schedule_is_the_default():
    views = np.random.default_rng(0).standard_normal((96, 2, 4)).astype(np.float16)
    X = views[:, 0].astype(np.float32)
    _, curve = fit((X, views), epochs=None, n_views=2, batch_size=2, hidden=2)
    assert len(curve) == 60


def test_bernoulli_sampling_differs_from_sign(pool):
    assert fit(pool, sampling="bernoulli")[1] != fit(pool)[1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 0}, "temperature=0: expected above 0"),
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 90 training images"),
        ({"batch_size": 91}, "batch_size=91"),
        ({"epochs": 0}, "epochs=0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"sampling": "both"}, "sampling='both'"),
        ({"n_views": 1}, "n_views=1"),
    ],
)
def test_parameters_out_of_range(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)


def test_an_exploding_loss_stops_with_epoch_and_values(pool):
    X, views = pool
    with pytest.raises(FloatingPointError, match=r"epoch 1: \{'loss': nan"):
        fit((X, np.full_like(views, np.inf)))
