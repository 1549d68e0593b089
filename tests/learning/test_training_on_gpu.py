"""Trainings on a GPU, as far as a pretended one shows: the CPU's results, few copies, no waits within an epoch."""

import numpy as np
import pytest
import torch
from interrupted import Killed
from pretended_gpu import pretended_gpu
from small_backbones import encoded_photos, photos, small_backbone, width
from torch import nn

from hashbench import load_method
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.tunable import Tunable
from hashbench.learning.deep import DeepMethod
from hashbench.learning.training.launch import train
from hashbench.learning.training.view_batches import TunedBackbone

X = np.random.default_rng(0).standard_normal((60, 12)).astype(np.float32)
VIEWS = np.stack([X, X + 0.5, X - 0.5], axis=1).astype(np.float16)
SMALL = {"epochs": 2, "batch_size": 20, "random_state": 0}
METHODS = {
    "bihalf": SMALL,
    "greedyhash": SMALL,
    "mls3rduh": SMALL,
    "sdc": SMALL,
    "sgh": SMALL,
    "tbh": {**SMALL, "hidden": 8, "continuous": 6},
    "uhbdnn": {"epochs": 2, "lbfgs_steps": 3, "random_state": 0},
    "cibhash": {**SMALL, "hidden": 8, "n_views": 3},
    "crovca": {**SMALL, "n_views": 3},
    "nsh": {**SMALL, "n_views": 3},
}
MOST = {  # operations and uploads of a step; waits of an epoch
    "bihalf": (92, 1, 1),
    "greedyhash": (103, 1, 1),
    "mls3rduh": (48, 2, 1),
    "sdc": (139, 1, 1),
    "sgh": (75, 1, 1),
    "tbh": (330, 3, 1),
    "uhbdnn": (1600, 3, 40),  # a step is a call of L-BFGS, which looks at its loss
    "cibhash": (122, 1, 1),
    "crovca": (212, 1, 1),
    "nsh": (161, 1, 1),
}


def trained(name, device="cpu", **params):
    extras = {"views": VIEWS} if "n_views" in METHODS[name] else {}
    return load_method(name)(8, **{**METHODS[name], **params}).fit(X, device=device, **extras)


def arrays(method):
    return {name: value for name, value in vars(method).items() if isinstance(value, np.ndarray)}


def assert_equal(found, expected, tolerance=1e-5):
    assert arrays(found).keys() == arrays(expected).keys()
    for name, value in arrays(expected).items():
        assert np.abs(arrays(found)[name] - value).max() <= tolerance, name


@pytest.mark.parametrize("name", METHODS)
def test_every_deep_method_trains_as_on_the_cpu_and_waits_once_an_epoch(name):
    steps = 1 if name == "uhbdnn" else 3
    with pretended_gpu() as counts:
        found = trained(name, "cuda")
        first = counts.copy()
        trained(name, "cuda", epochs=3)
        last_epoch = {what: counts[what] - 2 * first[what] for what in counts}
    assert_equal(found, trained(name))
    operations, uploads, waits = MOST[name]
    assert last_epoch["waits"] <= waits
    assert last_epoch["pageable uploads"] <= 0
    assert last_epoch["uploads"] <= uploads * steps
    assert last_epoch["operations"] <= operations * steps + 10  # the epoch's mean


@pytest.mark.parametrize("sampling", ["bernoulli", "zero_one"])
def test_sampled_codes_are_the_cpus(sampling):
    with pretended_gpu():
        found = trained("cibhash", "cuda", sampling=sampling)
    assert_equal(found, trained("cibhash", sampling=sampling))


def test_half_precision_scales_gradients_and_learns():
    curve = []
    with pretended_gpu() as counts:
        method = load_method("cibhash")(8, **METHODS["cibhash"] | {"precision": "16-mixed", "epochs": 6})
        method.fit(X, views=VIEWS, device="cuda", log=lambda **values: curve.append(values["loss"]))
        assert counts["pageable uploads"] <= 4  # the scale and its state, once
    assert np.isfinite(curve).all()
    assert curve[-1] < curve[0]
    exact = trained("cibhash", epochs=6)
    assert np.abs(method.weights2_ - exact.weights2_).max() < 0.02
    assert (method.weights2_ != exact.weights2_).any()


class Noisy(DeepMethod):
    """Draws from the device's generator, as a plugin may."""

    def network(self, n_features):
        return nn.Linear(n_features, self.n_bits)

    def loss(self, outputs, batch):
        noise = torch.rand(outputs.shape, generator=batch.noise, device=outputs.device)
        return {"loss": (outputs + noise).square().mean()}


def killed_then_resumed(make, folder, first, then):
    """Train on one device until a kill after two epochs, then on another; return the method and the whole curve."""
    seen, curve = [], []

    def kill(**values):
        seen.append(values)
        if values["epoch"] == 2:
            raise Killed

    for device, log in ((first, kill), (then, lambda **values: curve.append(values))):
        with pretended_gpu() if device == "cuda" else pytest.MonkeyPatch.context():
            try:
                method = make(device, folder, log)
            except Killed:
                continue
    assert method.resumed_s_ > 0
    assert curve[:2] == seen
    return method, curve


DEVICES = [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")]


@pytest.fixture
def every_epoch(monkeypatch):
    """Write a checkpoint after every epoch."""
    monkeypatch.setattr("hashbench.learning.training.trainer.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("hashbench.learning.training.trainer.SAVE_SHARE", np.inf)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize(("first", "then"), DEVICES)
@pytest.mark.parametrize("name", ["cibhash", "tbh"])
def test_a_training_goes_on_on_another_device(tmp_path, name, first, then):
    params = METHODS[name] | {"epochs": 4} | ({"sampling": "bernoulli"} if name == "cibhash" else {})
    extras = {"views": VIEWS} if name == "cibhash" else {}

    def make(device, folder, log):
        return load_method(name)(8, **params).fit(X, device=device, workdir=folder, log=log, **extras)

    method, curve = killed_then_resumed(make, tmp_path, first, then)
    assert_equal(method, load_method(name)(8, **params).fit(X, **extras))
    assert len(curve) == 4


@pytest.mark.usefixtures("every_epoch")
def test_the_devices_generator_is_seeded_for_each_step(tmp_path):
    def make(device, folder, log):
        return Noisy(8, **SMALL | {"epochs": 4}).fit(X, device=device, workdir=folder, log=log)

    resumed, _ = killed_then_resumed(make, tmp_path, "cuda", "cuda")
    with pretended_gpu():
        whole = Noisy(8, **SMALL | {"epochs": 4}).fit(X, device="cuda")
    assert_equal(resumed, whole, 0)


def test_half_precision_goes_on(tmp_path, every_epoch):
    params = METHODS["cibhash"] | {"epochs": 4, "precision": "16-mixed"}

    def make(device, folder, log):
        return load_method("cibhash")(8, **params).fit(X, views=VIEWS, device=device, workdir=folder, log=log)

    resumed, _ = killed_then_resumed(make, tmp_path, "cuda", "cuda")
    with pretended_gpu():
        whole = load_method("cibhash")(8, **params).fit(X, views=VIEWS, device="cuda")
    assert_equal(resumed, whole, 0)


TUNING = {"finetune": 1e-4, "batch_size": 4, "hidden": 8, "random_state": 0}


def tuned(folder, architecture, device, images, epochs=1, **extras):
    backbone = small_backbone(folder, architecture, device)
    tunable = Tunable(images, np.arange(2, 10), PHOTO_VIEWS, backbone.key, backbone.weights)
    features = np.zeros((8, width(architecture)), np.float32)
    return load_method("cibhash")(8, **TUNING, epochs=epochs).fit(features, tunable=tunable, device=device, **extras)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["test_efficientnet", "vgg_tiny"])
@pytest.mark.parametrize("make", [photos, encoded_photos])
def test_fine_tuning_gives_the_cpus_weights_with_few_copies(tmp_path, architecture, make):
    images = make(10)
    with pretended_gpu() as counts:
        found = tuned(tmp_path, architecture, "cuda", images)
        first = counts.copy()
        tuned(tmp_path, architecture, "cuda", images, epochs=2)
        last_epoch = {what: counts[what] - 2 * first[what] for what in counts}
    assert_equal(found, tuned(tmp_path, architecture, "cpu", images))
    steps = 2
    assert last_epoch["waits"] <= 1
    assert last_epoch["pageable uploads"] <= 0
    assert last_epoch["uploads"] <= (5 + 2 * (architecture == "vgg_tiny")) * steps  # images, 2 x 2 of parameters, masks


@pytest.mark.slow
@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize(("first", "then"), DEVICES)
def test_fine_tuning_with_dropout_goes_on_on_another_device(tmp_path, first, then):
    def make(device, folder, log):
        return tuned(tmp_path, "vgg_tiny", device, photos(10), epochs=3, workdir=folder, log=log)

    resumed, _ = killed_then_resumed(make, tmp_path / "work", first, then)
    assert_equal(resumed, tuned(tmp_path, "vgg_tiny", "cpu", photos(10), epochs=3))


class Spawned(load_method("cibhash")):
    """CIBHash in a module that a spawned process imports, so that it knows the small backbones."""


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_processes_tune_a_network_with_dropout_like_one(tmp_path):
    backbone = small_backbone(tmp_path, "vgg_tiny")
    tunable = Tunable(photos(10), np.arange(2, 10), PHOTO_VIEWS, backbone.key, backbone.weights)
    method = Spawned(8, **TUNING, epochs=1)
    one, two = (train(method, TunedBackbone(tunable, 64, 0, 1e-4), devices=devices) for devices in (1, 2))
    assert np.abs(one.learned["backbone_weights_"] - two.learned["backbone_weights_"]).max() < 1e-5
    assert two.progress.curve[0]["loss"] == pytest.approx(one.progress.curve[0]["loss"], abs=1e-6)
