"""The deep supervised methods in training: they learn, go on bit for bit, and refuse labels that they cannot use."""

import numpy as np
import pytest
from interrupted import goes_on_bit_for_bit

from hashbench import Unsupported, evaluate, load_method

METHODS = ["csq", "dch", "dpn", "dpsh", "dsh", "dtsh", "greedyhash_supervised", "hashnet", "orthohash"]


@pytest.fixture(scope="module")
def labelled():
    """Return 90 rows in three classes that three of 16 directions show."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = 3 * rng.standard_normal((90, 16))
    X[:, :3] = 2 * np.eye(3)[y] + 0.3 * rng.standard_normal((90, 3))
    return X.astype(np.float32), y


def make(name, **params):
    return load_method(name)(**{"n_bits": 8, "epochs": 3, "batch_size": 30, "random_state": 0, **params})


def marks(y):
    return np.stack([y == 0, y != 1, y == 2], axis=1)


@pytest.mark.parametrize("name", [*METHODS, "idhn"])
def test_codes_of_one_class_come_together(labelled, name):
    X, y = labelled
    labels = marks(y) if name == "idhn" else y
    method = make(name, epochs=40, lr=0.1 if name == "greedyhash_supervised" else 1e-2).fit(X, labels)
    codes = method.encode(X)
    metric = {"metrics": ["mAP@all"], "n_bits": 8, "query_labels": y, "database_labels": y}
    before = load_method("lsh")(8, random_state=0).fit(X).encode(X)
    assert evaluate(codes, codes, **metric)["mAP@all"] > 0.25 + evaluate(before, before, **metric)["mAP@all"]


@pytest.mark.parametrize("name", ["dsh", "csq", "orthohash", "greedyhash_supervised"])
def test_an_interrupted_training_goes_on_bit_for_bit(labelled, tmp_path, name):
    X, y = labelled
    goes_on_bit_for_bit(lambda **extras: make(name, batch_size=40).fit(X, y, **extras), tmp_path, 2)


def test_random_centres_without_a_seed_are_those_of_the_checkpoint(labelled, tmp_path):
    X, y = labelled

    class Watched(load_method("dpn")):
        """Notes its targets."""

        seen = []

        def loss(self, outputs, batch):
            self.seen.append(batch.constants["targets"].centres.clone())
            return super().loss(outputs, batch)

    def fit(log=None):
        return Watched(16, epochs=2, batch_size=30).fit(X, y, workdir=tmp_path, log=log)

    def kill(**values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(kill)
    fit()
    assert (Watched.seen[0] == Watched.seen[-1]).all()


@pytest.mark.parametrize("name", [name for name in METHODS if name != "greedyhash_supervised"])
def test_marks_of_several_labels(labelled, name):
    X, y = labelled
    curve = []
    make(name, epochs=10, lr=1e-2).fit(X, marks(y), log=lambda **values: curve.append(values["loss"]))
    assert curve[-1] < curve[1]  # in the first epoch the memory of outputs is empty


def test_crovca_supervised(labelled, tmp_path):
    X, y = labelled
    views = (X[:, None] + 0.3 * np.random.default_rng(1).standard_normal((90, 4, 16))).astype(np.float16)

    def fit(**extras):
        return make("crovca_supervised", n_views=4).fit(X, y, views=views, **extras)

    goes_on_bit_for_bit(fit, tmp_path, 2)
    other = make("crovca_supervised", n_views=4).fit(X, np.roll(y, 1) * y, views=views)
    assert (other.weights1_ != fit().weights1_).any()


@pytest.mark.parametrize(
    ("name", "labels", "params", "message"),
    [
        ("idhn", "classes", {}, "idhn learns from several labels an item; this data has one class an item"),
        ("idhn", "one each", {}, "idhn learns from several labels an item; here each has one at most"),
        ("greedyhash_supervised", "marks", {}, "learns from one class an item; this data has several labels an item"),
        ("csq", "classes", {"n_bits": 1}, "n_bits=1: only 1 balanced codes, 3 classes need as many"),
        ("dpn", "classes", {"n_bits": 2}, "n_bits=2: only 2 balanced codes, 3 classes need as many"),
        ("orthohash", "classes", {"n_bits": 1}, "n_bits=1: only 2 bernoulli codes, 3 classes need as many"),
        ("orthohash", "classes", {"centres": "orthogonal"}, "centres='orthogonal': expected 'hadamard', 'spread'"),
        ("orthohash", "classes", {"scale": 0.0}, "scale=0.0: expected above 0"),
        ("orthohash", "classes", {"margin": -1.0}, "margin=-1.0: expected at least 0"),
        ("dsh", "classes", {"penalty": -1.0}, "penalty=-1.0: expected at least 0"),
        ("hashnet", "classes", {"alpha": 0.0}, "alpha=0.0: expected above 0"),
        ("dtsh", "classes", {"margin": -1.0}, "margin=-1.0: expected at least 0"),
        ("dch", "classes", {"gamma": 0.0}, "gamma=0.0: expected above 0"),
        ("dpn", "classes", {"margin": 0.0}, "margin=0.0: expected above 0"),
        ("idhn", "marks", {"gamma": -1.0}, "gamma=-1.0: expected at least 0"),
        ("greedyhash_supervised", "classes", {"momentum": 1.0}, "momentum=1.0: expected at least 0 and below 1"),
    ],
    ids=str,
)
def test_what_is_refused(labelled, name, labels, params, message):
    X, y = labelled
    labels = {"classes": y, "marks": marks(y), "one each": np.eye(3, dtype=bool)[y]}[labels]
    with pytest.raises(Unsupported, match=message):
        make(name, **params).fit(X, labels)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_processes_remember_what_one_does(labelled):
    X, y = labelled
    one, two = make("dpsh", lr=1e-3).fit(X, y), make("dpsh", lr=1e-3).fit(X, y, devices=2)
    assert two.weights1_ == pytest.approx(one.weights1_, abs=1e-5)
