"""Backbones run by ONNX Runtime: torch's features to rounding, the same for any threads and batches, or a way back."""

import sys

import numpy as np
import pytest
import torch

from hashbench import progress
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.onnx import OnnxBackbone
from hashbench.features.backbones.opening import backbone_of, open_backbone
from hashbench.features.extraction import extract_features, extract_views
from hashbench.features.from_key import backbone_from_key
from hashbench.features.source import feature_key
from tests.helpers.small_backbones import encoded_photos, photos, small_backbone

NETWORK = {"image_size": 32, "device": "cpu"}
NAME = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def both():
    """Return the bundled network, run by ONNX Runtime and by torch."""
    return open_backbone(NAME, **NETWORK), open_backbone(NAME, onnx=False, **NETWORK)


def test_features_are_torchs_to_rounding_and_the_key_says_what_ran(both):
    faster, plain = both
    assert faster.key == {**plain.key, "runtime": "onnxruntime"}
    images = photos(40)
    found, expected = faster.features(images), plain.features(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_opening_keeps_no_network_in_memory():
    opened = open_backbone(NAME, **NETWORK)
    assert (opened._session, opened._network) == (None, None)


def test_neither_threads_nor_batches_decide_a_bit(both, monkeypatch):
    images, rows = photos(40), np.arange(40)
    whole = extract_features(both[0], images, rows)
    alone = np.concatenate([both[0].features(images[row : row + 1]) for row in rows])
    assert (whole == alone).all()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert (extract_features(open_backbone(NAME, **NETWORK), images, rows) == whole).all()


def test_images_of_many_sizes_are_those_of_one(both):
    images = encoded_photos(6)
    rows = np.arange(6)
    found = extract_features(both[0], images, rows)
    for row in rows:
        assert (both[0].features(images[row : row + 1][0][None]) == found[row]).all()
    np.testing.assert_allclose(found, extract_features(both[1], images, rows), atol=2e-5 * np.abs(found).max())


@pytest.mark.parametrize("images", [photos(10), encoded_photos(10)], ids=["one size", "many sizes"])
def test_views_are_torchs_to_rounding(both, images):
    found, expected = (extract_views(one, images, np.arange(10), PHOTO_VIEWS, 3, [0, 1]) for one in both)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("chosen", [{"precision": "bf16"}, {"compiled": True}, {"device": "cuda"}, {"onnx": False}])
def test_other_ways_are_torchs(chosen, request):
    if chosen.get("device") == "cuda":
        request.getfixturevalue("cuda")
    assert "runtime" not in open_backbone(NAME, **{**NETWORK, **chosen}).key


def test_a_network_whose_views_are_dropped_from_is_torchs(monkeypatch):
    monkeypatch.setattr(Backbone, "dropout", 0.5)
    assert type(open_backbone(NAME, **NETWORK)) is Backbone


def said(capsys):
    progress._said.clear()
    opened = [open_backbone(NAME, **NETWORK) for _ in range(2)]
    assert all(type(one) is Backbone and "runtime" not in one.key for one in opened)
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_without_onnx_runtime_torch_does_it_and_says_so_once(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert said(capsys).startswith(f"{NAME} at 32 pixels: run by torch, not by the faster ONNX Runtime, which is not")


def test_a_network_that_cannot_be_exported_is_torchs(monkeypatch, capsys):
    def export(*args, **options):
        raise torch.onnx.errors.UnsupportedOperatorError("aten::odd", 17)

    monkeypatch.setattr(torch.onnx, "export", export)
    assert "which cannot take it" in said(capsys)


def test_a_network_that_computes_something_else_is_torchs(monkeypatch, capsys):
    run = OnnxBackbone.extract
    monkeypatch.setattr(OnnxBackbone, "extract", lambda *args: run(*args) * 1.01)
    assert "whose features differ by 1e-02 of the largest" in said(capsys)


def test_a_model_that_torch_has_trained_gets_torchs_features(both):
    for backbone in both:
        again = backbone_from_key(feature_key(backbone), device="cpu")
        assert again.key == backbone.key


def test_a_model_is_used_where_onnx_runtime_is_missing(both, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    again = backbone_from_key(feature_key(both[0]), device="cpu")
    assert again.key == both[1].key


def test_other_parameters_are_taken_and_memory_is_given_back(tmp_path):
    plain = small_backbone(tmp_path)
    faster = backbone_of({**plain.key, "runtime": "onnxruntime"}, plain.fabric, plain.weights)
    before = faster.features(photos(4))
    vector = plain.parameters(plain.network())
    assert (faster.with_parameters(vector).features(photos(4)) == before).all()
    changed = faster.with_parameters(vector * 1.1)
    assert changed.key["tuned"] != faster.key.get("tuned")
    expected = plain.with_parameters(vector * 1.1).features(photos(4))
    np.testing.assert_allclose(changed.features(photos(4)), expected, atol=1e-4 * np.abs(expected).max())
    faster.release()
    assert (faster._session, faster._network) == (None, None)
    assert (faster.features(photos(4)) == before).all()
