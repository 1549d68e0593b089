"""SSDH: its pairs as the authors' procedure gives them, its objective, what it learns, its memory, what it refuses."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from hashbench.methods.ssdh import cosine_distances, sure_pairs
from interrupted import goes_on_bit_for_bit
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from hashbench import Unsupported, load_method


def by_definition(distances, alpha):
    """Return the similarity by the steps of the paper: bins, two samples mirrored at the mode, two normal fits."""
    counts, start = [], -1e-8
    for _ in range(100):
        counts.append(((distances >= start) & (distances < start + 0.01)).sum())
        start += 0.01
    mode = -1e-8 + 0.01 * counts.index(max(counts))
    near, far = distances[distances <= mode], distances[distances > mode]
    means, spreads = [], []
    for half in (near, far):
        mirrored = np.concatenate([half, 2 * mode - half])
        means.append(mirrored.mean())
        spreads.append(np.sqrt(((mirrored - mirrored.mean()) ** 2).mean()))
    expected = np.zeros(distances.shape)
    expected[distances < means[0] - alpha * spreads[0]] = 1
    expected[distances > means[1] + alpha * spreads[1]] = -1
    return expected


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_the_pairs_by_definition(data, alpha):
    distances = cdist(data[:300], data[:300], "cosine")
    expected = by_definition(distances, alpha)
    assert set(np.unique(expected)) == {-1, 0, 1}
    found = cosine_distances(data[:300])
    assert found == pytest.approx(distances, abs=1e-6)
    assert (sure_pairs(found, alpha) != expected).mean() < 1e-3


def test_a_row_of_zeros_is_near_to_itself_alone():
    X = np.abs(np.random.default_rng(0).standard_normal((20, 4))).astype(np.float32)
    X[7] = 0
    distances = cosine_distances(X)
    assert distances[7, 7] == 0
    assert (np.delete(distances[7], 7) == 1).all()


def test_the_loss_by_definition():
    rng = np.random.default_rng(0)
    h, similarity = np.tanh(rng.standard_normal((6, 16))), rng.integers(-1, 2, (9, 9))
    rows = np.array([3, 0, 8, 4, 1, 7])
    total = 0.0
    for i, row in enumerate(rows):
        for j, other in enumerate(rows):
            total += abs(similarity[row, other]) * (h[i] @ h[j] / 16 - similarity[row, other]) ** 2
    constants = {"similarity": torch.tensor(similarity, dtype=torch.int8)}
    batch = SimpleNamespace(rows=torch.tensor(rows), constants=constants)
    loss = load_method("ssdh")(16).loss(torch.tensor(h), batch)["loss"]
    assert float(loss) == pytest.approx(total / 36, abs=1e-12)


def test_codes_keep_clusters(data):
    curve, X = [], data[:400]
    method = load_method("ssdh")(16, center=True, alpha=1.0, epochs=20, lr=1e-2, random_state=0)
    method.fit(X, log=lambda **values: curve.append(values["loss"]))
    assert curve[-1] < 0.7 * curve[0]
    clusters = KMeans(6, n_init=3, random_state=0).fit_predict(X)
    bits = 2.0 * np.unpackbits(method.encode(X), axis=1) - 1
    agreement = bits @ bits.T / 16
    together = clusters[:, None] == clusters
    assert agreement[together].mean() > agreement[~together].mean() + 0.5


def test_an_interrupted_training_goes_on_bit_for_bit(data, tmp_path):
    def fit(**extras):
        return load_method("ssdh")(8, epochs=4, random_state=3).fit(data[:100], **extras)

    goes_on_bit_for_bit(fit, tmp_path, 2)


def test_more_rows_than_fit_in_memory_are_refused_before_training(data, monkeypatch):
    def begin(self, trainer):
        raise AssertionError("training has begun")

    monkeypatch.setattr(load_method("ssdh"), "begin", begin)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=6 * 1000**2 + 5))
    with pytest.raises(Unsupported, match=r"1,200 training rows: ssdh compares all pairs, .* 1,000 rows would fit"):
        load_method("ssdh")(8).fit(data)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "batch_size=24: expected 2 to the 20 training rows"),
        ({"batch_size": 10, "alpha": -1.0}, "alpha=-1.0: expected at least 0"),
    ],
    ids=str,
)
def test_what_is_refused(params, message):
    X = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    with pytest.raises(Unsupported, match=message):
        load_method("ssdh")(8, **params).fit(X)
