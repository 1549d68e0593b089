"""`--transform model`: images reach the network as timm brings them to it, and the feature key says so."""

import numpy as np
import pytest
import timm
import torch
from conftest import one_clear_line
from PIL import Image
from timm.data import create_transform, resolve_data_config

from hashbench.features.backbones.opening import open_backbone
from hashbench.features.from_key import backbone_from_key
from hashbench.features.source import feature_key
from hashbench.records.store import Store

NAME = "tf_efficientnet_lite0"
KEY = {"backbone", "weights", "image_size", "interpolation", "mean", "std", "precision"}


@pytest.fixture(scope="module")
def backbone():
    return open_backbone(NAME, device="cpu", precision="fp32", transform="model")


def test_default_keys_are_as_they_were(backbone):
    default = open_backbone(NAME, device="cpu", precision="fp32").key
    assert set(default) == KEY | {"runtime"}
    assert set(open_backbone(NAME, device="cpu", onnx=False).key) == KEY
    assert default["interpolation"] == "bilinear"
    assert set(backbone.key) == KEY | {"crop_pct", "crop_mode", "runtime"}
    expected = {"image_size": 224, "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}
    assert {name: backbone.key[name] for name in expected} == expected
    assert backbone.key["mean"] == backbone.key["std"] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("size", [None, 64])
def test_images_are_equal_to_timms(backbone, size):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in [(300, 200, 3), (30, 45, 3), (256, 256, 3)]]
    if size is not None:
        backbone = open_backbone(NAME, device="cpu", precision="fp32", transform="model", image_size=size)
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(NAME).to_dict())
    config |= {"input_size": (3, size, size)} if size is not None else {}
    transform = create_transform(**config, is_training=False)
    expected = torch.stack([transform(Image.fromarray(image)) for image in images])
    mean, std = (torch.tensor(backbone.key[name])[:, None, None] for name in ("mean", "std"))
    torch.testing.assert_close((backbone.load(images) - mean) / std, expected)
    assert torch.equal(backbone.load(np.stack([images[2]])), backbone.load(images)[2:])


def test_grey_images_stay_grey(backbone):
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 30, 1), dtype=np.uint8)
    assert torch.equal(backbone.load(image).expand(-1, 3, -1, -1), backbone.load(np.repeat(image, 3, axis=3)))


def test_a_key_leads_back_to_it(backbone):
    again = backbone_from_key(feature_key(backbone), device="cpu")
    assert again.key == backbone.key


def test_a_run_and_its_model_use_it(photos_plugin, tmp_path, cache_dir, cli):
    asked = ["--dataset", "photos", "--plugin", photos_plugin, "--methods", "lsh", "--bits", 16, "--image-size", 32]
    shared = [*asked, "--cache-dir", cache_dir, "--save-models"]
    codes = {}
    for transform in ("square", "model"):
        out = tmp_path / transform
        done = cli("run", *shared, "--out", out, "--transform", transform)
        assert done.returncode == 0, done.stderr
        (record,) = Store(out)
        assert ("crop_pct" in record.config["features"]) == (transform == "model")
        images = np.load(photos_plugin.parent / "images.npy")
        np.save(tmp_path / "images.npy", images)
        encode = ["encode", Store(out).model_path(record), tmp_path / "images.npy"]
        done = cli(*encode, "--out", tmp_path / "codes.npy")
        assert done.returncode == 0, done.stderr
        codes[transform] = np.load(tmp_path / "codes.npy")
        stored = np.load(Store(out).arrays_path(record.id))
        assert np.array_equal(codes[transform][:10], stored["query_codes"])
        assert np.array_equal(codes[transform][10:], stored["database_codes"])
    assert (codes["square"] != codes["model"]).any()


def test_it_is_refused_where_it_has_no_effect(photos_plugin, tmp_path, cli):
    run = ["run", "--methods", "lsh", "--out", tmp_path / "out", "--transform", "model"]
    one_clear_line(cli(*run), "--transform", "pixels backbone takes images as they are")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((200, 8), np.float32))
    vectors = ["--dataset", "vectors", "--data-dir", tmp_path / "x.npy"]
    one_clear_line(cli(*run, *vectors), "--transform: vectors comes with features")
    photos = ["--dataset", "photos", "--plugin", photos_plugin, "--backbone", "pixels"]
    one_clear_line(cli(*run, *photos), "--transform", "pixels backbone")
    run[-1] = "crop"
    one_clear_line(cli(*run), "--transform crop: expected one of square, model")
