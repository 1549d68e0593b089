"""Losses of the deep supervised methods, by plain formulas, pair by pair."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hashbench import load_method
from hashbench.learning.layers import binarize

K, N = 8, 12
RNG = np.random.default_rng(0)
OUTPUTS = 1.5 * RNG.standard_normal((N, K))
CLASSES = RNG.integers(3, size=N)
MARKS = RNG.random((N, 3)) < 0.5
LABELS = {"classes": CLASSES, "marks": MARKS}
BOTH = pytest.mark.parametrize("form", ["classes", "marks"])


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def share(labels):
    return labels[:, None] == labels if labels.ndim == 1 else labels.astype(int) @ labels.T > 0


def evaluated(name, labels, outputs=OUTPUTS, rows=slice(None), epoch=1):
    """Return a method's loss of outputs, and its constants; every output has a gradient that is finite."""
    method = load_method(name)(K)
    method._n_classes = 3
    trainer = SimpleNamespace(
        network=torch.nn.Linear(2, K),
        fabric=SimpleNamespace(device=torch.device("cpu")),
        data=SimpleNamespace(labels=labels, n_items=N),
        rng=np.random.default_rng(0),
        constants={},
        epochs=150,
        scale_rates=lambda factor: None,
    )
    method.begin(trainer)
    method.start_epoch(trainer, epoch)
    u = torch.tensor(outputs[rows], dtype=torch.float32, requires_grad=True)
    chosen = torch.arange(N)[rows]
    batch = SimpleNamespace(rows=chosen, labels=torch.tensor(labels)[rows], constants=trainer.constants)
    loss = method.loss(u, batch)["loss"]
    loss.backward()
    assert torch.isfinite(u.grad).all()
    assert (u.grad != 0).any()
    return loss.item(), trainer.constants


@BOTH
def test_dsh(form):
    s, pairs = share(LABELS[form]), []
    for i in range(N):
        for j in range(N):
            d = ((OUTPUTS[i] - OUTPUTS[j]) ** 2).sum()
            pairs.append(d / 2 if s[i, j] else max(0, 2 * K - d) / 2)
    expected = np.mean(pairs) + 0.1 * np.abs(np.abs(OUTPUTS) - 1).mean()
    assert evaluated("dsh", LABELS[form])[0] == pytest.approx(expected, rel=1e-5)


def test_rows_not_yet_seen_have_output_0_and_are_dissimilar():
    rows = slice(5)
    d = ((OUTPUTS[:5, None] - OUTPUTS[:5]) ** 2).sum(axis=2)
    unseen = np.maximum(0, 2 * K - (OUTPUTS[rows] ** 2).sum(axis=1)) * (N - 5)
    pairs = np.where(share(CLASSES[rows]), d, np.maximum(0, 2 * K - d)).sum() + unseen.sum()
    expected = pairs / 2 / (5 * N) + 0.1 * np.abs(np.abs(OUTPUTS[rows]) - 1).mean()
    assert evaluated("dsh", CLASSES, rows=rows)[0] == pytest.approx(expected, rel=1e-5)


@BOTH
def test_dpsh(form):
    t = OUTPUTS @ OUTPUTS.T / 2
    expected = (np.logaddexp(0, t) - share(LABELS[form]) * t).mean() + 0.1 * ((OUTPUTS - np.sign(OUTPUTS)) ** 2).mean()
    assert evaluated("dpsh", LABELS[form])[0] == pytest.approx(expected, rel=1e-5)


@BOTH
@pytest.mark.parametrize(("epoch", "scale"), [(1, 1), (20, 1), (21, 2**0.5), (150, 8**0.5)])
def test_hashnet(form, epoch, scale):
    codes, s = np.tanh(scale * OUTPUTS), share(LABELS[form])
    t = 0.1 * codes @ codes.T
    pairs = np.logaddexp(0, t) - s * t
    expected = pairs[s].mean() + pairs[~s].mean()
    assert evaluated("hashnet", LABELS[form], epoch=epoch)[0] == pytest.approx(expected, rel=1e-5)


@BOTH
def test_dtsh(form):
    s, t, anchors = share(LABELS[form]), OUTPUTS @ OUTPUTS.T, []
    for i in range(N):
        if s[i].any() and not s[i].all():
            ahead = t[i][s[i]][:, None] - t[i][~s[i]] - 5
            anchors.append(-np.log(sigmoid(np.clip(ahead, -100, 50))).mean())
    expected = np.mean(anchors) + ((OUTPUTS - np.sign(OUTPUTS)) ** 2).mean()
    assert evaluated("dtsh", LABELS[form])[0] == pytest.approx(expected, rel=1e-5)


def test_dtsh_of_great_products_has_a_gradient():
    evaluated("dtsh", CLASSES, 100 * OUTPUTS)


@pytest.mark.parametrize(
    "labels", [np.zeros(N, np.int64), np.zeros((N, 3), bool)], ids=["no negatives", "no positives"]
)
def test_of_a_batch_without_triplets_the_penalty_remains(labels):
    expected = ((OUTPUTS - np.sign(OUTPUTS)) ** 2).mean()
    assert evaluated("dtsh", labels)[0] == pytest.approx(expected, rel=1e-5)


@BOTH
def test_dch(form):
    unit = OUTPUTS / np.linalg.norm(OUTPUTS, axis=1, keepdims=True)
    d, s = K / 2 * (1 - np.minimum(unit @ unit.T, 0.99)), share(LABELS[form])
    to_ones = K / 2 * (1 - np.minimum(np.abs(unit).sum(axis=1) / K**0.5, 0.99))
    expected = np.log(1 + d[s] / 20).mean() + np.log(1 + 20 / d[~s]).mean() + 0.1 * np.log(1 + to_ones / 20).mean()
    assert evaluated("dch", LABELS[form])[0] == pytest.approx(expected, rel=1e-5)


@BOTH
def test_csq(form):
    loss, constants = evaluated("csq", LABELS[form])
    bits = constants["targets"].codes(torch.tensor(LABELS[form])).numpy() > 0
    h = np.tanh(OUTPUTS)
    entropy = -np.log(np.where(bits, (1 + h) / 2, (1 - h) / 2)).mean()
    assert loss == pytest.approx(entropy + 1e-4 * ((np.abs(h) - 1) ** 2).mean(), rel=1e-5)


@BOTH
def test_dpn(form):
    loss, constants = evaluated("dpn", LABELS[form])
    targets = constants["targets"].codes(torch.tensor(LABELS[form])).numpy()
    assert loss == pytest.approx(np.maximum(0, 1 - OUTPUTS * targets).mean(), rel=1e-5)


@BOTH
def test_orthohash(form):
    loss, constants = evaluated("orthohash", LABELS[form])
    centres = constants["targets"].centres.numpy()
    cosines = OUTPUTS @ centres.T / np.linalg.norm(OUTPUTS, axis=1)[:, None] / K**0.5
    marked = np.eye(3)[CLASSES] if form == "classes" else MARKS.astype(float)
    scores = 8 * (cosines - 0.2 * marked)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    expected = -(logs * marked / np.maximum(1, marked.sum(axis=1, keepdims=True))).sum(axis=1).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_idhn():
    loss, _ = evaluated("idhn", MARKS)
    h, pairs = OUTPUTS / (np.abs(OUTPUTS) + 1), []
    for i in range(N):
        for j in range(N):
            norms = MARKS[i].sum() ** 0.5 * MARKS[j].sum() ** 0.5
            s, t = (MARKS[i] & MARKS[j]).sum() / (norms + 1e-5), 0.5 * h[i] @ h[j]
            soft = 0.01 <= s <= 0.99
            pairs.append(0.1 * (t + K - 2 * s * K) ** 2 if soft else np.logaddexp(0, t) - s * t)
    assert loss == pytest.approx(np.mean(pairs) + 0.1 * np.abs(np.abs(h) - 1).mean(), rel=1e-5)


def test_greedyhash_supervised():
    weights = np.random.default_rng(1).standard_normal((3, K))
    u = torch.tensor(OUTPUTS, requires_grad=True)
    scores = binarize(u) @ torch.tensor(weights).T
    loss = load_method("greedyhash_supervised")(K).loss((u, scores), SimpleNamespace(labels=torch.tensor(CLASSES)))[
        "loss"
    ]
    by_hand = np.sign(OUTPUTS) @ weights.T
    logs = by_hand - np.log(np.exp(by_hand).sum(axis=1, keepdims=True))
    expected = -logs[np.arange(N), CLASSES].mean() + 0.1 * (np.abs(np.abs(OUTPUTS) - 1) ** 3).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    errors = np.exp(logs) - np.eye(3)[CLASSES]
    penalty = 0.1 * 3 * (np.abs(OUTPUTS) - 1) ** 2 * np.sign(np.abs(OUTPUTS) - 1) * np.sign(OUTPUTS) / OUTPUTS.size
    assert np.allclose(u.grad.numpy(), errors @ weights / N + penalty)  # straight through the sign


@BOTH
def test_crovca_supervised(form):
    rng = np.random.default_rng(2)
    one, other = rng.standard_normal((2, N, K))
    marked = np.eye(3)[CLASSES] if form == "classes" else MARKS.astype(float)
    method = load_method("crovca_supervised")(K)
    method._n_classes = 3
    outputs = torch.tensor(np.concatenate([one, other]), dtype=torch.float32, requires_grad=True)
    terms = method.loss(outputs, SimpleNamespace(labels=torch.tensor(LABELS[form])))
    bits = np.zeros((N, K))
    for i in range(N):
        means = [(one + other)[marked[:, label] > 0].mean(axis=0) / 2 for label in np.flatnonzero(marked[i])]
        bits[i] = np.mean(means, axis=0) > 0 if means else 0
    entropy = np.mean([np.logaddexp(0, view) - bits * view for view in (one, other)])
    rates = []
    for view in (one, other):
        Z = view / np.linalg.norm(view, axis=1, keepdims=True)
        determinant = np.linalg.slogdet(np.eye(K) + K / (N * 0.05) * Z.T @ Z)[1]
        rates.append(determinant / 2 * (N + K) / (N * K))
    assert terms["alignment"].item() == pytest.approx(entropy, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(entropy - 0.1 * np.mean(rates), rel=1e-5)
    terms["loss"].backward()
    assert (outputs.grad != 0).all()
