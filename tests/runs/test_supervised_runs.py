"""Runs of methods that read labels: what they are given, what is refused before training, where results are shown."""

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench.contract.saved_file import read_saved
from hashbench.records.store import Store
from hashbench.results.setting import by_setting

MEANS = '''"""Signs of the products with differences of class means, as many as there are bits."""

import numpy as np

from hashbench import HashMethod
from hashbench.contract.labels import marks_of


class Means(HashMethod):
    """Signs of the products with mixed class means."""

    supervision = "supervised"
    {attributes}

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X, y{asked}):
        self.mean_ = X.mean(axis=0)
        means = marks_of(y).T.astype(np.float32) @ (X - self.mean_)
        mix = np.random.default_rng(0).standard_normal((self.n_bits, self.n_classes_))
        self.directions_ = (mix @ means).T.astype(np.float32)
        self.n_rows_ = len(X)
        {body}
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_
'''


@pytest.fixture
def run(cli, tmp_path):
    def run(*options, attributes="", asked="", body="", methods="means"):
        (tmp_path / "means.py").write_text(MEANS.format(attributes=attributes, asked=asked, body=body))
        command = ("run", "--plugin", tmp_path / "means.py", "--methods", methods, "--bits", "8")
        return cli(*command, *options, "--out", tmp_path / "out")

    return run


def vectors(folder, labels):
    """Write 60 vectors, ten of them queries, and return the option that names them."""
    X = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    parts = {"database": X[10:], "query": X[:10]}
    if labels is not None:
        parts |= {"database_labels": labels[10:], "query_labels": labels[:10]}
    np.savez(folder / "vectors.npz", **parts)
    return "--dataset", "vectors", "--data-dir", folder / "vectors.npz"


def test_methods_with_and_without_labels_never_share_a_table_or_a_verdict(run, tmp_path, cli):
    done = run(methods="means,sign,itq[n_iter=3]")
    assert done.returncode == 0, done.stderr
    groups = by_setting(Store(tmp_path / "out"))
    methods = {setting.reads_labels: {one.config["method"] for one in records} for setting, records in groups.items()}
    assert methods == {False: {"sign", "itq"}, True: {"means"}}
    titles = [line for line in done.stdout.splitlines() if line.startswith("mAP@all: ")]
    assert sorted("methods that read labels" in title for title in titles) == [False, True]
    boards = cli("publish", tmp_path / "out", "--to", tmp_path / "boards", "--plugin", tmp_path / "means.py")
    assert boards.returncode == 0, boards.stderr
    lines = (tmp_path / "boards" / "digits.csv").read_text().splitlines()
    assert len(lines) == 4


def test_a_table_of_methods_that_read_labels_alone_says_so(run):
    assert "digits (digits/1, methods that read labels" in run().stdout


def test_many_labels_an_item(run, tmp_path):
    marks = np.random.default_rng(1).random((60, 5)) < 0.4
    marks[:, 0] |= ~marks[:, 1]
    done = run(*vectors(tmp_path, marks))
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "out")
    assert record.uses_labels


def test_validation_queries_are_drawn_from_the_training_set(run, tmp_path, digits):
    done = run("--save-models", asked=", *, validation", body="self.score_ = validation(self)")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    (record,) = store
    assert record.config["protocol"] == "digits/1"
    assert record.config["data"] == digits.fingerprint
    assert len(store.arrays(record.id)["query_codes"]) == len(digits.split.query)
    learned = read_saved(store.model_path(record)).learned
    of_each = np.bincount(digits.labels[digits.split.train])
    assert learned["n_rows_"] == (of_each - of_each // 10).sum()
    assert 0.2 < learned["score_"] < 1


ROWS = np.arange(60)
REFUSED = {
    "no labels": ("", None, "means learns from labels, vectors has none"),
    "several labels": (
        'labels = "classes"',
        np.stack([ROWS % 2 == 0, ROWS % 3 > 0, ROWS % 5 > 0], 1),
        "means learns from one class an item",
    ),
    "one class": ('labels = "multilabel"', ROWS % 3, "means learns from several labels an item"),
    "alone": (
        "items_per_class = 2",
        np.where(ROWS == 59, 3, ROWS % 3),
        "needs 2 training items of each class; one has 1",
    ),
    "too many": ("classes_per_bit = 1", ROWS % 10, "n_bits=8: means tells at most 8 classes apart"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_that_a_method_cannot_use_end_in_one_line_before_training(run, tmp_path, case):
    attributes, labels, message = REFUSED[case]
    done = run(*vectors(tmp_path, labels), attributes=attributes, body="raise AssertionError('it was trained')")
    one_clear_line(done, "no cell could run", message)


TUNED = '''"""A linear layer and a classifier."""

from hashbench.learning.supervised import SupervisedMethod


class Tuned(SupervisedMethod):
    """A linear layer and a classifier."""

    labels = "classes"

    def network(self, n_features):
        from torch import nn

        return nn.Sequential(nn.Linear(n_features, self.n_bits), nn.Tanh(), nn.Linear(self.n_bits, self.n_classes_))

    def encoder(self, network):
        return network[0]

    def loss(self, outputs, batch):
        from torch.nn.functional import cross_entropy

        return {"loss": cross_entropy(outputs, batch.labels)}
'''


@pytest.mark.slow
def test_a_backbone_is_trained_on_labels_and_its_model_encodes(tmp_path, cli, photos_plugin):
    (tmp_path / "tuned.py").write_text(TUNED)
    data = ("--plugin", photos_plugin, "--plugin", tmp_path / "tuned.py", "--dataset", "photos", "--precision", "fp32")
    spec = "tuned[finetune=0.0001,epochs=1,batch_size=20],tuned[epochs=1,batch_size=20]"
    done = cli("run", *data, "--methods", spec, "--bits", 16, "--save-models", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    tuned, frozen = sorted(store, key=lambda record: -record.config["params"]["finetune"])
    assert tuned.uses_labels
    assert frozen.uses_labels
    assert tuned.config["views"]["recipe"]["name"] == "cibhash-photo/1"
    assert "n_views" not in tuned.config["views"]
    assert frozen.config["views"] is None
    images = photos_plugin.parent / "images.npy"
    done = cli(
        "encode", store.model_path(tuned), images, "-o", tmp_path / "codes.npy", "--plugin", tmp_path / "tuned.py"
    )
    assert done.returncode == 0, done.stderr
    assert (np.load(tmp_path / "codes.npy")[10:] == store.arrays(tuned.id)["database_codes"]).all()
