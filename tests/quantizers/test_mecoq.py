"""MeCoQ's objective against its definition, its memory and schedule, and a quantizer that a run hands views."""

import numpy as np
import pytest
import torch
from conftest import one_clear_line
from hashbench.quantizers.mecoq import debiased_contrast, rate
from interrupted import Killed

from hashbench import InputError, Unsupported, load_quantizer
from hashbench.learning.quantized.codebook_pool import CodebookPool
from hashbench.learning.training.launch import train
from hashbench.records.store import Store


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 20)).astype(np.float32)
    views = (X[:, None] + 0.3 * rng.standard_normal((90, 6, 20))).astype(np.float16)
    return X, views


SMALL = {"n_bits": 16, "n_views": 6, "epochs": 2, "batch_size": 20, "memory": 60, "part_dims": 4, "random_state": 0}


def fit(pool, extras=None, **params):
    X, views = pool
    curve = []
    quantizer = load_quantizer("mecoq")(**{**SMALL, **params})
    return quantizer.fit(X, **{"views": views, "log": lambda **values: curve.append(values), **(extras or {})}), curve


@pytest.mark.parametrize(("prior", "n_kept"), [(0.1, 0), (0.1, 7), (0.0, 7), (0.6, 0)])
def test_the_contrast_by_definition(prior, n_kept):
    rng = np.random.default_rng(1)
    vectors, kept, temperature = rng.standard_normal((10, 6)), 2 * rng.standard_normal((n_kept, 6)), 0.4
    terms, bounded = [], 0
    for i in range(10):
        anchor, partner = vectors[i] / np.linalg.norm(vectors[i]), (i + 5) % 10
        cosines = vectors @ anchor / np.linalg.norm(vectors, axis=1)
        positive = np.exp(cosines[partner] / temperature)
        negatives = [np.exp(cosines[j] / temperature) for j in range(10) if j not in (i, partner)]
        total = sum(negatives) + sum(np.exp(row @ anchor / temperature) for row in kept)
        corrected = (total - prior * len(negatives) * positive) / (1 - prior)
        bounded += corrected < np.exp(-8 / temperature)
        terms.append(-np.log(positive / (positive + max(corrected, np.exp(-8 / temperature)))))
    found = debiased_contrast(torch.tensor(vectors), temperature, prior, torch.tensor(kept) if n_kept else None)
    assert float(found) == pytest.approx(np.mean(terms), abs=1e-12)
    assert (bounded > 0) == (prior == 0.6)  # so that the bound is tested, too


def test_the_other_terms_by_definition(pool):
    quantizer = load_quantizer("mecoq")(**SMALL, entropy=0.2, diversity=0.7)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = quantizer.network(20).double()
    rows = torch.tensor(pool[0][:8], dtype=torch.float64)
    constants = {"network": network, "remembers": False}
    terms = quantizer.loss(network(rows), type("Batch", (), {"constants": constants}))
    weights, bias = (one.detach().numpy() for one in network.projection.parameters())
    codebooks = network.codebooks.detach().numpy()
    entropies, decoded = [], []
    for row in pool[0][:8].astype(float):
        vector = []
        for part, codewords in zip((weights @ row + bias).reshape(2, 4), codebooks, strict=True):
            p = np.exp(10 * codewords @ part / np.linalg.norm(part))
            p /= p.sum()
            entropies.append(-(p * np.log(p)).sum())
            vector.append(p @ codewords)
        decoded.append(np.concatenate(vector))
    similar = np.mean([one @ other for book in codebooks for one in book for other in book])
    assert float(terms["entropy"]) == pytest.approx(np.mean(entropies), rel=1e-9)
    assert float(terms["similarity"]) == pytest.approx(similar, rel=1e-9)
    contrast = float(debiased_contrast(torch.tensor(np.array(decoded)), 0.35, 0.1))
    assert float(terms["contrastive"]) == pytest.approx(contrast, rel=1e-9)
    assert float(terms["loss"]) == pytest.approx(contrast + 0.2 * np.mean(entropies) + 0.7 * similar, rel=1e-9)


def test_the_rate_rises_for_an_epoch_and_falls_along_a_cosine():
    rates = [rate(step, 4, 12) for step in range(12)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[3] == rates[4] == pytest.approx(1)
    assert rates[8] == pytest.approx((1 + 1e-3) / 2)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rate(0, 1, 1) == pytest.approx(1e-3)


def test_the_memory_keeps_the_latest_views():
    quantizer = load_quantizer("mecoq")(**SMALL)
    memory = torch.zeros(60, 2, 256)
    for step, n_images in enumerate([20, 20, 10]):  # six views of 20, 20, 20, 20, 10 and 10 images
        quantizer._keep_views(memory, torch.full((2 * n_images, 2, 256), float(step + 1)), step)
    assert memory[:, 0, 0].tolist() == [2.0] * 20 + [3.0] * 10 + [1.0] * 10 + [3.0] * 10 + [2.0] * 10


def test_training_learns_and_repeats_itself(pool):
    one, curve = fit(pool, epochs=15, memory=0, lr=0.3)
    two, _ = fit(pool, epochs=15, memory=0, lr=0.3)
    assert (one.encode(pool[0]) == two.encode(pool[0])).all()
    assert curve[-1]["contrastive"] < curve[0]["contrastive"] - 0.1
    other, _ = fit(pool, epochs=15, memory=0, lr=0.3, random_state=1)
    assert (one.encode(pool[0]) != other.encode(pool[0])).any()


def test_the_memory_is_used_after_its_share_of_the_epochs(pool):
    _, without = fit(pool, epochs=5, memory=0)
    _, late = fit(pool, epochs=5, memory_from=0.4)
    assert late[:2] == without[:2]
    assert late[2]["contrastive"] > without[2]["contrastive"] + 0.1


@pytest.mark.parametrize("codewords", ["trained", "fixed"])
def test_codewords_have_length_one_and_move_where_they_are_trained(pool, codewords):
    short, long = (fit(pool, epochs=epochs, codewords=codewords)[0].codebooks_ for epochs in (2, 8))
    assert short.shape == (2, 256, 4)
    assert short.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(long, axis=2), 1, rtol=1e-6)
    assert (short == long).all() == (codewords == "fixed")


def test_codes_are_the_nearest_codewords_and_distances_those_to_them(pool):
    quantizer, _ = fit(pool)
    parts = (pool[0].astype(float) @ quantizer.weights1_ + quantizer.bias1_).reshape(90, 2, 4)
    to_codewords = np.square(parts[:, :, None] - quantizer.codebooks_.astype(float)).sum(axis=3)
    codes = quantizer.encode(pool[0])
    assert (codes == to_codewords.argmin(axis=2)).mean() > 0.98  # but for rounding
    distances = quantizer.distances(pool[0][:5], codes)
    true = sum(to_codewords[:5, part][:, codes[:, part]] for part in range(2))
    constants = np.square(parts[:5]).sum(axis=(1, 2))[:, None] + 2
    np.testing.assert_allclose(distances + constants, true, rtol=1e-4, atol=1e-4)


def test_equal_codes_are_equally_far(pool):
    quantizer, _ = fit(pool)
    codes = np.repeat(quantizer.encode(pool[0][:3]), [700, 1, 1300], axis=0)
    distances = quantizer.distances(pool[0], codes)
    assert (distances[:, :700] == distances[:, :1]).all()
    assert (distances[:, 701:] == distances[:, -1:]).all()


def test_faiss_has_the_same_codes_and_neighbours(pool):
    pytest.importorskip("faiss")
    quantizer, _ = fit(pool)
    codes, index = quantizer.encode(pool[0]), quantizer.to_faiss()
    assert (index.sa_encode(pool[0]) == codes).mean() > 0.98
    index.add(pool[0])
    found = index.search(pool[0][:20], 5)[0]
    distances = np.sort(quantizer.distances(pool[0][:20], index.sa_encode(pool[0])), axis=1)[:, :5]
    np.testing.assert_allclose(found - found[:, :1], distances - distances[:, :1], atol=1e-4)
    for refused in (lambda: quantizer.to_faiss("ip"), lambda: quantizer.products(pool[0], codes)):
        with pytest.raises(Unsupported, match="not by the inner product"):
            refused()


@pytest.mark.parametrize("codewords", ["trained", "fixed"])
def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path, codewords):
    whole, curve = fit(pool, epochs=6, codewords=codewords)

    def kill(**values):
        if values["epoch"] == 4:
            raise Killed

    with pytest.raises(Killed):
        fit(pool, {"workdir": tmp_path, "log": kill}, epochs=6, codewords=codewords)
    resumed, again = fit(pool, {"workdir": tmp_path}, epochs=6, codewords=codewords)
    for name in ("weights1_", "bias1_", "codebooks_"):
        assert (getattr(resumed, name) == getattr(whole, name)).all()
    assert again == curve
    assert resumed.resumed_s_ > 0
    with pytest.raises(InputError, match="another training"):
        fit(pool, {"workdir": tmp_path}, epochs=6, codewords=codewords, prior=0.2)


@pytest.mark.slow
def test_two_processes_equal_one(pool):
    views = pool[1][:89]
    quantizer = load_quantizer("mecoq")(**{**SMALL, "batch_size": 32, "memory": 64, "memory_from": 0.5})
    one, two = (train(quantizer, CodebookPool(views), devices=devices) for devices in (1, 2))
    assert one.learned.keys() == two.learned.keys()
    for name in ("weights1_", "bias1_", "codebooks_"):
        assert np.abs(one.learned[name] - two.learned[name]).max() < 1e-5


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_bits": 12}, ("n_bits=12", "multiple of 8")),
        ({"part_dims": 1}, ("part_dims=1", "at least 2")),
        ({"memory": 10}, ("memory=10", "at least batch_size")),
        ({"prior": 1.0}, ("prior=1.0", "below 1")),
        ({"codewords": "some"}, ("codewords='some'", "'trained' or 'fixed'")),
        ({"n_views": 1}, ("n_views=1", "at least 2")),
        ({"momentum": 1.0}, ("momentum=1.0", "below 1")),
    ],
)
def test_parameters_out_of_range_are_refused(pool, params, words):
    with pytest.raises(Unsupported) as told:
        fit(pool, **params)
    for word in words:
        assert word in str(told.value)


def test_it_needs_views(pool):
    with pytest.raises(ValueError, match="fit needs views="):
        load_quantizer("mecoq")(**SMALL).fit(pool[0])


@pytest.mark.slow
def test_a_run_hands_a_quantizer_its_views(tmp_path, cli):
    mecoq = "mecoq[epochs=2,n_views=2]"
    done = cli("run", "--methods", f"{mecoq},int8", "--bits", 16, "--seeds", 0, "--out", tmp_path, "--save-models")
    assert done.returncode == 0, done.stderr
    by_method = {record.config["method"]: record for record in Store(tmp_path)}
    record = by_method["mecoq"]
    assert record.config["protocol"] == by_method["int8"].config["protocol"] == "digits/1+uncoded"
    assert record.config["views"]["n_views"] == 2
    assert by_method["int8"].config["views"] is None
    assert [entry["epoch"] for entry in record.training] == [1, 2]
    assert record.timings["views_s"] > 0
    assert not record.uses_labels
    one_clear_line(cli("run", "--methods", "mecoq[dims=8]", "--out", tmp_path), "augmented views", "leave dims out")


def test_vectors_have_no_views(tmp_path, cli, pool):
    np.save(tmp_path / "vectors.npy", pool[0])
    command = ("--dataset", "vectors", "--data-dir", tmp_path / "vectors.npy", "--bits", 16, "--out", tmp_path / "out")
    done = cli("run", "--methods", "mecoq", *command)
    assert "skipped: it trains on augmented images" in done.stdout + done.stderr
