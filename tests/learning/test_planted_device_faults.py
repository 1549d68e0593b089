"""Faults of devices that are planted in the code are caught on a pretended GPU."""

import __future__

import functools
import inspect
import textwrap

import numpy as np
import pytest
from pretended_gpu import pretended_gpu
from small_backbones import photos, small_backbone, width

from hashbench import load_method
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.network import ImageDropout
from hashbench.features.extraction import extract_features, extract_views
from hashbench.features.tunable import Tunable
from hashbench.features.views import augment
from hashbench.learning import contrastive
from hashbench.learning.training import batches, encoder
from hashbench.learning.training.batches import Batch, FeatureRows
from hashbench.learning.training.trainer import Trainer
from hashbench.learning.training.view_batches import ViewPool

X = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
VIEWS = np.stack([X, X + 0.5], axis=1).astype(np.float16)
ROWS = np.arange(8)


def trained(name, **params):
    def work(folder, device):
        extras = {"views": VIEWS} if "n_views" in params else {}
        method = load_method(name)(8, **params, epochs=2, batch_size=20, random_state=0)
        return method.fit(X, device=device, **extras).weights1_

    return work


def views(folder, device):
    made = extract_views(small_backbone(folder, "vgg_tiny", device), photos(8), ROWS, PHOTO_VIEWS, 0, [0, 1])
    return made.astype(np.float32)


def features(folder, device):
    return extract_features(small_backbone(folder, "test_efficientnet", device), photos(8), ROWS)


def tuned(folder, device):
    backbone = small_backbone(folder, "vgg_tiny", device)
    tunable = Tunable(photos(8), ROWS, PHOTO_VIEWS, backbone.key, backbone.weights)
    method = load_method("cibhash")(8, finetune=1e-4, epochs=1, batch_size=4, hidden=8, random_state=0)
    return method.fit(np.zeros((8, width("vgg_tiny")), np.float32), tunable=tunable, device=device).backbone_weights_


GREEDY, TBH, SDC = trained("greedyhash"), trained("tbh", hidden=8, continuous=6), trained("sdc")
CIBHASH = trained("cibhash", hidden=8, n_views=2)
MIXED = "Expected all tensors to be on the same device"
ON_GPU = "copy it to the CPU first"
FAULTS = [  # what is done; where the fault is; what was there and is now; how it shows
    (TBH, Batch, "uniform", "self.data.fabric.device)", "torch.device('cpu'))", MIXED),
    (TBH, Trainer, "__init__", "torch.Generator()", "torch.Generator(fabric.device)", "device type for generator"),
    (GREEDY, FeatureRows, "inputs", "self.fabric.device)", "torch.device('cpu'))", MIXED),
    (GREEDY, Trainer, "_epoch", "value.detach()", "value.detach().cpu()", "waits"),
    (GREEDY, batches, "to_device", ".pin_memory()", "", "pageable"),
    (GREEDY, encoder, "_affine", ".cpu()", "", ON_GPU),
    (CIBHASH, ViewPool, "inputs", "to_device(features, self.fabric.device)", "torch.from_numpy(features)", MIXED),
    (CIBHASH, contrastive, "nt_xent", ", device=codes.device", "", MIXED),
    (SDC, load_method("sdc"), "begin", ".to(trainer.fabric.device)", "", "device"),
    (features, Backbone, "extract", "mask_seeds).cpu()", "mask_seeds)", ON_GPU),
    (features, Backbone, "network", "model.to(self.fabric.device)", "model", MIXED),
    (features, Backbone, "_normaliser", ", device=device)", ")", MIXED),
    (views, augment, "_uploaded", "values()], device)", "values()], torch.device('cpu'))", MIXED),
    (views, augment, "_resize_weights", "device=start.device", "device='cpu'", MIXED),
    (views, augment, "_view", "(parameters, device)", "(parameters, torch.device('cpu'))", MIXED),
    (views, augment, "_blur", "if len(rows):", "if (sigma > 0).any():", "waits"),
    (views, augment, "_coloured", "if len(rows)", "rows = rows[drawn.sigma[rows] >= 0]\n        if len(rows)", "waits"),
    (views, ImageDropout, "forward", "to_device(kept, features.device)", "torch.from_numpy(kept)", MIXED),
    (
        views,
        ImageDropout,
        "forward",
        "return features * to_device",
        "return torch.dropout(features, 0.5, True)\n    to_device",
        "other numbers",
    ),
    (tuned, Backbone, "parameters", ".cpu()", "", ON_GPU),
]


def plant(monkeypatch, owner, name, old, new):
    """Replace a part of a function's source."""
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source
    made = {}
    code = compile(source.replace(old, new), f"<planted in {name}>", "exec", __future__.annotations.compiler_flag)
    exec(code, function.__globals__, made)
    monkeypatch.setattr(owner, name, made[name])


@functools.cache
def without_faults(work, folder):
    """Return what a piece of work gives on the CPU, and what it costs on the pretended GPU."""
    expected = work(folder, "cpu")
    with pretended_gpu() as counts:
        found = work(folder, "cuda")
        costs = counts.copy()
    assert np.abs(found - expected).max() < 1e-3
    return expected, costs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return where the backbones' weights are kept."""
    return tmp_path_factory.mktemp("backbones")


@pytest.mark.parametrize(("work", "owner", "name", "old", "new", "shown"), FAULTS)
def test_a_planted_fault_is_caught(monkeypatch, folder, work, owner, name, old, new, shown):
    expected, costs = without_faults(work, folder)
    plant(monkeypatch, owner, name, old, new)

    def checked():
        with pretended_gpu() as counts:
            found = work(folder, "cuda")
            assert counts["pageable uploads"] <= costs["pageable uploads"], "pageable"
            assert counts["waits"] <= costs["waits"], "waits"
            assert np.abs(found - expected).max() < 1e-3, "other numbers"

    with pytest.raises((RuntimeError, TypeError, AssertionError), match=shown):
        checked()
