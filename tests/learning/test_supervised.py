"""Networks that learn from labels: on features or with their backbone, in one process or two, whole or interrupted."""

import numpy as np
import pytest
import torch
from small_backbones import photos, small_backbone, width
from torch import nn

from hashbench import InputError, Tunable, Unsupported
from hashbench.checks import check_method
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.learning.supervised import SupervisedMethod
from hashbench.learning.view_pairs import ViewPairMethod


def entropy_of(logits, labels):
    """Return the cross entropy of classes, or that of marks bit by bit."""
    if labels.ndim == 1:
        return nn.functional.cross_entropy(logits, labels)
    return nn.functional.binary_cross_entropy_with_logits(logits, labels.float())


class Classifier(SupervisedMethod):
    """A linear map to the bits and one from there to the classes; batch_size, epochs, lr, weight_decay, precision,
    select, views_seed and finetune are the base class's.
    """

    batch_size: int = 10

    def network(self, n_features):
        return nn.Sequential(nn.Linear(n_features, self.n_bits), nn.Tanh(), nn.Linear(self.n_bits, self.n_classes_))

    def encoder(self, network):
        return network[0]

    def loss(self, outputs, batch):
        return {"loss": entropy_of(outputs, batch.labels)}


class OfViews(ViewPairMethod):
    """The same, of two views."""

    supervision = "supervised"
    batch_size: int = 10
    network, encoder = Classifier.network, Classifier.encoder

    def loss(self, outputs, batch):
        return {"loss": sum(entropy_of(view, batch.labels) for view in outputs.chunk(2))}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((60, 12)).astype(np.float32)


CLASSES = np.arange(60) % 3 * 5 + 2
MARKS = np.random.default_rng(1).random((60, 4)) < 0.4


@pytest.fixture
def tunable(tmp_path):
    """Return a small network and 24 photos of three classes to train it on."""
    backbone = small_backbone(tmp_path)
    return Tunable(photos(30), np.arange(3, 27), PHOTO_VIEWS, backbone.key, backbone.weights)


def tune(tunable, method_class=Classifier, **options):
    method = method_class(8, finetune=1e-3, epochs=2, random_state=0)
    X = np.zeros((24, width("test_efficientnet")), np.float32)
    return method.fit(X, CLASSES[:24], tunable=tunable, **options)


@pytest.mark.slow
def test_the_suite():
    check_method(Classifier)


@pytest.mark.parametrize("y", [CLASSES, MARKS], ids=["classes", "marks"])
def test_labels_are_learned_and_the_model_is_kept(X, y, tmp_path):
    curve = []
    method = Classifier(8, epochs=30, lr=0.1, random_state=0).fit(X, y, log=lambda **entry: curve.append(entry))
    assert method.n_classes_ == (3 if y is CLASSES else 4)
    assert curve[-1]["loss"] < 0.3 < curve[0]["loss"]
    method.save(tmp_path / "model.safetensors")
    loaded = Classifier.load(tmp_path / "model.safetensors")
    assert (loaded.encode(X) == method.encode(X)).all()


def test_only_the_order_of_classes_counts(X):
    one, other = (Classifier(8, epochs=2, random_state=0).fit(X, y).weights1_ for y in (CLASSES, CLASSES // 5))
    assert (one == other).all()
    moved = Classifier(8, epochs=2, random_state=0).fit(X, np.roll(CLASSES, 1)).weights1_
    assert (one != moved).any()


class Killed(Exception):
    """The process ends here."""


def kill(epoch, **values):
    if epoch == 2:
        raise Killed


@pytest.mark.parametrize("y", [CLASSES, MARKS], ids=["classes", "marks"])
def test_an_interrupted_training_goes_on_bit_for_bit(X, y, tmp_path):
    method = Classifier(8, epochs=4, random_state=0)
    whole = method.fit(X, y).weights1_
    with pytest.raises(Killed):
        method.fit(X, y, workdir=tmp_path, log=kill)
    resumed = method.fit(X, y, workdir=tmp_path)
    assert resumed.resumed_s_ > 0
    assert (resumed.weights1_ == whole).all()
    with pytest.raises(InputError, match="other labels"):
        method.fit(X, y[::-1], workdir=tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_processes_train_like_one(X):
    method = Classifier(8, epochs=2, batch_size=9, random_state=0)  # an odd batch: one process repeats a row
    one, two = (method.fit(X, MARKS, devices=devices).weights1_.copy() for devices in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_the_backbone_is_trained_with_a_rate_of_its_own(tunable, tmp_path):
    method = tune(tunable)
    backbone = small_backbone(tmp_path)
    moved = np.abs(method.backbone_weights_ - backbone.parameters(backbone.network()))
    assert 1e-5 < moved.max() < 20 * 6 * 1e-3
    assert method.wants() >= {"tunable"}
    assert not Classifier(8).wants() & {"tunable", "validation", "views"}
    with pytest.raises(Killed):
        tune(tunable, workdir=tmp_path / "work", log=kill)
    assert (tune(tunable, workdir=tmp_path / "work").backbone_weights_ == method.backbone_weights_).all()


def test_one_new_view_of_each_image_in_every_epoch(tunable):
    seen = []

    class Watches(Classifier):
        """Notes what it is given."""

        def loss(self, outputs, batch):
            assert (batch.labels.numpy() == CLASSES[batch.index[0]] // 5).all()
            seen.append((batch.epoch, outputs.shape[0], batch.index))
            return super().loss(outputs, batch)

    tune(tunable, Watches)
    assert all(n_rows == index.shape[1] for _, n_rows, index in seen)
    for epoch in (1, 2):
        images, views = np.concatenate([index for when, _, index in seen if when == epoch], axis=1)
        assert sorted(images) == list(range(24))
        assert (views == epoch - 1).all()


def test_view_pairs_keep_their_labels_where_the_backbone_is_trained(tunable):
    tune(tunable, OfViews)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("method_class", [Classifier, OfViews])
def test_two_processes_tune_like_one(tunable, method_class):
    one, two = (tune(tunable, method_class, devices=devices).backbone_weights_.copy() for devices in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_validation_chooses_the_epoch(X):
    scores = iter([0.2, 0.9, 0.3])
    kept = []

    def validation(method):
        kept.append(method.weights1_.copy())
        return next(scores)

    method = Classifier(8, epochs=60, select="validation", random_state=0)
    assert "validation" in method.wants()
    method.fit(X, CLASSES, validation=validation)
    assert len(kept) == 3
    assert (method.weights1_ == kept[1]).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"finetune": -1.0}, "finetune=-1.0: expected at least 0"),
        ({"finetune": 0.1, "select": "validation"}, "finetune=0.1: expected 0 where validation"),
        ({"select": "best"}, "select='best'"),
        ({"finetune": 0.1}, "fit needs tunable="),
        ({"select": "validation"}, "fit needs validation="),
    ],
)
def test_what_is_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        Classifier(8, **params).fit(X, CLASSES)


def test_features_that_are_scaled_cannot_be_a_trained_backbones(tunable):
    class Scales(Classifier):
        """Halves features."""

        def scaling(self, X):
            return np.zeros(X.shape[1], np.float32), 2.0

    with pytest.raises(Unsupported, match="scales features"):
        tune(tunable, Scales)


NEEDS = {
    "classes": ({"labels": "classes"}, MARKS, "learns from one class an item; this data has several labels an item"),
    "marks": ({"labels": "multilabel"}, CLASSES, "learns from several labels an item; this data has one class an item"),
    "bits": (
        {"classes_per_bit": 2},
        np.arange(60) % 17,
        "n_bits=8: needs tells at most 16 classes apart, there are 17",
    ),
    "items": (
        {"items_per_class": 2},
        np.minimum(CLASSES, np.arange(60)),
        "needs 2 training items of each class; one has 1",
    ),
    "no labels": ({}, None, "learns from labels: give y"),
}


@pytest.mark.parametrize("needs", NEEDS)
def test_a_class_says_what_labels_it_needs(X, needs):
    attributes, y, message = NEEDS[needs]
    with pytest.raises(ValueError, match=message):
        type("Needs", (Classifier,), {"name": "needs", "__doc__": "Needs.", **attributes})(8).fit(X, y)


def test_torch_sees_marks_as_bools(X):
    class Watches(Classifier):
        """Notes the labels' type."""

        def loss(self, outputs, batch):
            assert batch.labels.dtype == torch.bool
            return super().loss(outputs, batch)

    Watches(8, epochs=1).fit(X, MARKS)
