"""UH-BDNN: its objective, its two alternating steps by definition, where it starts, how it resumes, what it refuses."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, load_method
from hashbench.learning.binary_codes import best_codes, itq_codes, moment_directions


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def kept(n_bits=8, **params):
    """Return a method that keeps its trainer, and the codes of each round."""

    class Kept(load_method("uhbdnn")):
        """Notes what it trains with."""

        def begin(self, trainer):
            super().begin(trainer)
            self.trainer, self.rounds = trainer, []

        def step(self, trainer, batch):
            self.rounds.append(trainer.constants["codes"].numpy())
            return super().step(trainer, batch)

    Kept.name = "uhbdnn"
    return Kept(n_bits, **{"epochs": 2, "lbfgs_steps": 15, "random_state": 0, **params})


def test_the_loss_by_definition():
    params = {"quantization": 0.3, "independence": 0.7, "balance": 0.2, "weight_decay": 0.1}
    torch.manual_seed(0)
    method = load_method("uhbdnn")(8, **params)
    net = method.network(12).double()
    rng = np.random.default_rng(0)
    X, H = rng.standard_normal((9, 12)), rng.standard_normal((6, 8))
    codes, rows = rng.choice([-1.0, 1.0], (9, 8)), np.array([3, 0, 8, 4, 1, 7])
    W, c = net.decoder.weight.detach().numpy().T, net.decoder.bias.detach().numpy()
    B, n = codes[rows], 6
    expected = ((X[rows] - B @ W - c) ** 2).sum() / (2 * n)
    expected += 0.3 / (2 * n) * ((H - B) ** 2).sum() + 0.7 / 2 * ((H.T @ H / n - np.eye(8)) ** 2).sum()
    expected += 0.2 / (2 * n) * (H.sum(axis=0) ** 2).sum()
    expected += 0.1 / 2 * sum((part.detach().numpy() ** 2).sum() for part in net.parameters() if part.ndim == 2)
    batch = SimpleNamespace(
        features=torch.tensor(X[rows]),
        rows=torch.tensor(rows),
        constants={"network": net, "codes": torch.tensor(codes)},
    )
    assert method.loss(torch.tensor(H), batch)["loss"].item() == pytest.approx(expected, rel=1e-12)


def test_the_codes_step_by_definition():
    rng = np.random.default_rng(0)
    X, H, W, c = (rng.standard_normal(shape) for shape in ((20, 7), (20, 6), (6, 7), 7))

    def objective(B):
        return ((X - B @ W - c) ** 2).sum() + 0.5 * ((H - B) ** 2).sum()

    target = torch.tensor(0.5 * H + (X - c) @ W.T)
    B = best_codes(target, torch.tensor(W.T), sweeps=10).numpy()
    assert (np.abs(B) == 1).all()
    for row in range(20):
        for bit in range(6):
            other = B.copy()
            other[row, bit] *= -1
            assert objective(B) < objective(other)
    first = best_codes(target, torch.tensor(W.T), sweeps=1).numpy()
    assert (first[:, 0] == np.sign(target[:, 0].numpy())).all()  # bit by bit from 0: nothing is there yet
    assert objective(B) <= objective(first)


def test_directions_of_the_second_moment(data):
    X = data + 5
    directions = moment_directions(X, 5)
    _, singular, right = np.linalg.svd(X.astype(np.float64), full_matrices=False)
    assert singular[0] > 2 * singular[1]  # the mean is left in
    assert np.abs(np.sum(directions * right[:5].T, axis=0)) == pytest.approx(np.ones(5), abs=1e-6)
    assert (directions[np.abs(directions).argmax(axis=0), range(5)] > 0).all()


def test_it_starts_from_eigenvectors_and_itqs_codes(data):
    method = kept(8)
    starts = []
    method.step = lambda trainer, batch: starts.append(trainer) or {"loss": torch.zeros(())}
    method.epochs = 1
    method.fit(data)
    net = starts[0].network
    scaled = (data - data.min(axis=0)) / np.ptp(data, axis=0).max()
    first = moment_directions(scaled, 24)
    weights = [layer.weight.detach().numpy().T for layer in net.encoder[::2]]
    assert weights[0] == pytest.approx(first, abs=1e-5)
    second = moment_directions(sigmoid(scaled @ first).astype(np.float32), 20)
    assert weights[1] == pytest.approx(second, abs=1e-4)
    assert (net.decoder.weight.detach().numpy() == np.eye(24, 8)).all()
    assert all((layer.bias == 0).all() for layer in (*net.encoder[::2], net.decoder))
    assert (starts[0].constants["codes"].numpy() == itq_codes(data, 8, starts[0].seed, "uhbdnn")).all()


def test_itqs_codes_are_those_of_the_method(data):
    codes = itq_codes(data, 8, seed=4, method="uhbdnn") > 0
    bits = np.unpackbits(load_method("itq")(8, random_state=4).fit(data).encode(data), axis=1).astype(bool)
    assert (codes == bits).all()


def test_the_weights_step_reaches_the_ridge_solution(data):
    method = kept(8, epochs=1, lbfgs_steps=300, weight_decay=1e-2)
    method.fit(data[:300])
    scaled = (data[:300] - data[:300].min(axis=0)) / np.ptp(data[:300], axis=0).max()
    B, n = method.rounds[0].astype(np.float64), 300
    centred = B - B.mean(axis=0)
    W = np.linalg.solve(centred.T @ centred / n + 1e-2 * np.eye(8), centred.T @ (scaled - scaled.mean(axis=0)) / n)
    decoder = method.trainer.network.decoder
    weights, bias = decoder.weight.detach().numpy().T, decoder.bias.detach().numpy()
    assert weights == pytest.approx(W, abs=1e-4)  # without the ridge they differ by 2e-2
    assert bias == pytest.approx(scaled.mean(axis=0) - B.mean(axis=0) @ W, abs=1e-4)


def test_rounds_lower_the_loss_and_bring_network_and_codes_together(data):
    method, curve = kept(8, epochs=4, lbfgs_steps=40), []
    method.fit(data, log=lambda **values: curve.append(values["loss"]))
    assert all(later < earlier for earlier, later in pairwise(curve))
    bits = np.unpackbits(method.encode(data), axis=1) == 1
    agreement = [(bits == (codes > 0)).mean() for codes in (method.rounds[0], method.rounds[-1])]
    assert agreement[1] > 0.9
    assert agreement[1] > agreement[0]


def test_an_interrupted_training_goes_on_bit_for_bit(data, tmp_path):
    def fit(**extras):
        return load_method("uhbdnn")(8, epochs=4, lbfgs_steps=10, random_state=3).fit(data, **extras)

    goes_on_bit_for_bit(fit, tmp_path, 2)


@pytest.mark.parametrize(("n_bits", "widths"), [(5, (90, 20)), (8, (90, 20)), (12, (90, 30)), (32, (120, 50))])
def test_listed_widths(n_bits, widths):
    layers = load_method("uhbdnn")(n_bits).network(200).encoder[::2]
    assert [layer.out_features for layer in layers] == [*widths, n_bits]


def test_longer_codes_need_widths():
    X = np.random.default_rng(0).standard_normal((90, 70)).astype(np.float32)
    with pytest.raises(Unsupported, match="n_bits=64: uhbdnn's authors list hidden layers up to 32 bits"):
        load_method("uhbdnn")(64).fit(X)
    method = load_method("uhbdnn")(64, hidden1=80, hidden2=66, epochs=1, lbfgs_steps=2).fit(X)
    assert method.weights2_.shape == (70, 66)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden1": 7}, "hidden1=7: expected at least n_bits=8"),
        ({"hidden2": 7}, "hidden2=7: expected at least n_bits=8"),
        ({"lbfgs_steps": 0}, "lbfgs_steps=0: expected at least 1"),
        ({"quantization": -1.0}, "quantization=-1.0: expected at least 0"),
        ({"independence": -1.0}, "independence=-1.0: expected at least 0"),
        ({"balance": float("nan")}, "balance=nan: expected at least 0"),
    ],
    ids=str,
)
def test_what_is_refused(data, params, message):
    with pytest.raises(Unsupported, match=message):
        load_method("uhbdnn")(8, **params).fit(data)


def test_equal_rows_and_more_bits_than_features_are_refused(data):
    with pytest.raises(Unsupported, match="uhbdnn needs at least 2 different rows, all 50 are the same"):
        load_method("uhbdnn")(8).fit(np.full((50, 9), 3.0))
    with pytest.raises(Unsupported, match="n_bits=32: uhbdnn gives at most one bit per feature, 24 here"):
        load_method("uhbdnn")(32).fit(data)
