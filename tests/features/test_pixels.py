"""Pixels as features: numpy alone, and bit for bit what torch makes of them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hashbench import InputError, load_dataset
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.backbones.pixels import Pixels
from hashbench.features.opening import open_source
from hashbench.features.options import BackboneOptions

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_torch_s_bit_for_bit(channels):
    every = np.arange(256, dtype=np.uint8)
    images = np.random.default_rng(0).permutation(np.tile(every, 3 * channels)).reshape(4, 12, 16, channels)
    found = Pixels().features(images)
    assert found.dtype == np.float32
    with_torch = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255).flatten(1).numpy()
    np.testing.assert_array_equal(found, with_torch, strict=True)
    np.testing.assert_array_equal(Pixels().features(list(images)), with_torch, strict=True)
    backbone = open_backbone("pixels", device="cpu")
    np.testing.assert_array_equal(found, backbone.features(images), strict=True)


def test_the_key_of_pixels_stays(tmp_path):
    key = {"backbone": "pixels", "weights": None, "image_size": None, "precision": "32-true", "pipeline": 1}
    source = open_source(load_dataset("digits"), BackboneOptions(), tmp_path)
    assert source.key == source.features().key == key
    assert open_backbone("pixels", device="cpu").key == Pixels().key
    assert source.views(1, 0).key["backbone"] == "pixels"


FEATURES = """
import sys
from pathlib import Path
from hashbench.data.options import LoadOptions
from hashbench.data.loading import load
from hashbench.features.opening import open_source
from hashbench.features.options import BackboneOptions
from hashbench.datasets.{module} import {name}
cache, data = Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None
dataset = load({name}(), LoadOptions(data, cache))
assert open_source(dataset, BackboneOptions(device="cpu"), cache).features().data.shape[0] == len(dataset)
assert open_source(dataset, BackboneOptions(device="cpu"), cache).device == "cpu"
heavy = {{"torch", "torchvision", "timm", "lightning_fabric"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(("module", "name"), [("digits", "Digits"), ("vectors", "Vectors")])
def test_pixels_and_vectors_need_no_torch(module, name, tmp_path):
    vectors = tmp_path / "vectors.npy"
    np.save(vectors, np.random.default_rng(0).standard_normal((300, 8), np.float32))
    source = FEATURES.format(module=module, name=name)
    arguments = [str(tmp_path / "cache"), str(vectors) if module == "vectors" else ""]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", source, *arguments], check=True, env=environment)


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((300, 8), np.float32))
    return load_dataset("vectors", data_dir=tmp_path / "vectors.npy")


@pytest.mark.parametrize(
    "option",
    [
        {"backbone": "pixels"},
        {"image_size": 8},
        {"precision": "bf16"},
        {"normalization": "model"},
        {"compile": True},
        {"batch_size": 8},
    ],
)
def test_options_that_have_no_effect_are_refused(option, vectors, tmp_path):
    (name,) = option
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: vectors comes with features"):
        open_source(vectors, BackboneOptions(**option), tmp_path)
    if name != "backbone":
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')}.*pixels backbone"):
            open_source(load_dataset("digits"), BackboneOptions(**option), tmp_path)


def test_the_device_counts_for_given_features(vectors, tmp_path):
    source = open_source(vectors, BackboneOptions(device="cpu", devices=2), tmp_path)
    assert (source.device, source.devices) == ("cpu", 2)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="--device cuda"):
            open_source(vectors, BackboneOptions(device="cuda"), tmp_path)
    with pytest.raises(InputError, match="has no images to make views of"):
        source.views(2, 0)
