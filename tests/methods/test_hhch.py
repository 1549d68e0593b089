"""HHCH: its objective by definition, its clusters and schedule in each epoch, resuming, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = (np.repeat(rng.standard_normal((6, 20)), 15, axis=0) + 0.3 * rng.standard_normal((90, 20))).astype(np.float32)
    return X, (X[:, None] + 0.1 * rng.standard_normal((90, 4, 20))).astype(np.float16)


def make(method_class=None, **params):
    small = {"n_bits": 8, "hidden": 16, "width": 6, "n_views": 4, "batch_size": 30, "random_state": 0}
    clusters = {"fine": 12, "middle": 6, "coarse": 3}
    return (method_class or load_method("hhch"))(**{**small, **clusters, "epochs": 2, **params})


def fit(pool, extras=None, method_class=None, **params):
    curve = []
    method = make(method_class, **params)
    return method.fit(pool[0], views=pool[1], **{"log": lambda **values: curve.append(values), **(extras or {})}), curve


def distance(x, y, c):
    x = -x
    inner, xx, yy = x @ y, x @ x, y @ y
    added = ((1 + 2 * c * inner + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * inner + c**2 * xx * yy)
    return 2 / c**0.5 * np.arctanh(c**0.5 * np.linalg.norm(added))


def test_the_loss_by_definition():
    rng = np.random.default_rng(1)
    n, c, tau = 7, 0.4, 0.5
    codes, points = rng.uniform(-1, 1, (2 * n, 5)), 0.3 * rng.standard_normal((2 * n, 3))
    centres = [0.3 * rng.standard_normal((k, 3)) for k in (4, 3, 2)]
    assigned = [rng.integers(k, size=20) for k in (4, 3, 2)]
    rows = rng.permutation(20)[:n]

    def score(x, y):
        return np.exp(-distance(x, y, c) / tau)

    instances = prototypes = 0.0
    for level in range(3):
        cluster = assigned[level][rows]
        for one, other in ((points[:n], points[n:]), (points[n:], points[:n])):
            for i in range(n):
                negatives = [j for j in range(n) if j != i and cluster[j] != cluster[i]]
                below = sum(score(one[i], view[j]) for j in negatives for view in (one, other))
                positive = score(one[i], other[i])
                instances -= np.log(positive / (positive + below)) / (2 * n) / (level + 1) / 3
                sums = 1e-5 + sum(score(one[i], centre) for centre in centres[level])
                prototypes -= np.log(score(one[i], centres[level][cluster[i]]) / sums) / n / (level + 1) / 3
    quantization = ((np.abs(codes) - 1) ** 2).mean()
    levels = [(torch.tensor(one), torch.tensor(many)) for one, many in zip(centres, assigned, strict=True)]
    batch = SimpleNamespace(rows=torch.tensor(rows), constants={"levels": levels})
    method = make(curvature=c, temperature=tau, quantization=0.3)
    terms = method.loss((torch.tensor(codes), torch.tensor(points)), batch)
    assert float(terms["instances"]) == pytest.approx(instances, abs=1e-9)
    assert float(terms["prototypes"]) == pytest.approx(prototypes, abs=1e-9)
    assert float(terms["quantization"]) == pytest.approx(quantization, abs=1e-12)
    assert float(terms["loss"]) == pytest.approx(instances + prototypes + 0.3 * quantization, abs=1e-9)


def test_every_epoch_clusters_all_images_as_they_are_then(pool):
    found = []

    class Watched(load_method("hhch")):
        """Keeps the clusters and what they were made of."""

        def start_epoch(self, trainer, epoch):
            super().start_epoch(trainer, epoch)
            trainer.network.eval()
            points = trainer.network(torch.from_numpy(pool[0]))[1].detach()
            trainer.network.train()
            found.append((points, trainer.constants["levels"]))

    fit(pool, method_class=Watched, epochs=3, curvature=0.1)
    assert len(found) == 3
    for points, levels in found:
        assert [len(assigned) for _, assigned in levels] == [90] * 3
        assert [len(centres) for centres, _ in levels] == pytest.approx([12, 6, 3], abs=3)
        centres, assigned = levels[0]
        assert centres.dtype == torch.float32
        # The centres are those of the points of this epoch: Euclidean means, up to the ball's small curvature.
        means = torch.stack([points[assigned == k].mean(dim=0) for k in range(len(centres))])
        assert (centres - means).abs().max() < 0.05 * points.norm(dim=1).max()
    assert not torch.equal(found[0][1][0][1], found[1][1][0][1])


def test_the_rate_falls_as_in_the_authors_80_epochs():
    factors = [make()._rate(epoch / 80) for epoch in range(80)]
    assert factors == [1.0] * 30 + [0.9] * 10 + [0.9**2] * 20 + [0.9**3] * 20


def test_it_learns_and_its_codes_know_the_groups(pool):
    method, curve = fit(pool, epochs=40)
    assert curve[-1]["instances"] < curve[0]["instances"] - 0.1
    codes = 2.0 * (method.project(pool[0]) > 0) - 1
    groups = np.arange(90) // 15
    alike = groups[:, None] == groups
    products = codes @ codes.T / 8
    assert products[alike].mean() > products[~alike].mean() + 0.5


def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path):
    goes_on_bit_for_bit(lambda **extras: fit(pool, extras, epochs=5, dropout=0.3)[0], tmp_path, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_processes_find_the_clusters_that_one_does(pool):
    one, two = (fit(pool, {"devices": devices, "log": None}, dropout=0.0)[0] for devices in (1, 2))
    for name in ("weights1_", "weights2_"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), abs=1e-5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden": 0}, "hidden=0: expected at least 1"),
        ({"dropout": 1.0}, "dropout=1.0: expected at least 0 and below 1"),
        ({"width": 0}, "width=0: expected at least 1"),
        ({"clip": 0.0}, "clip=0.0: expected above 0"),
        ({"curvature": 0.0}, "curvature=0.0: expected above 0"),
        ({"curvature": 3.0}, "curvature=3.0: expected above 0, and at most 2.73 with clip=2.3"),
        ({"coarse": 0}, "coarse=0: expected at least 1"),
        ({"middle": 2}, "middle=2: expected at least coarse=3"),
        ({"fine": 5}, "fine=5: expected at least middle=6"),
        ({"temperature": 0.0}, "temperature=0.0: expected above 0"),
        ({"quantization": -1.0}, "quantization=-1.0: expected at least 0"),
        ({"finetune": 1e-5}, "finetune=1e-05: expected 0, since it needs features of the images themselves"),
    ],
    ids=str,
)
def test_what_is_refused(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)
