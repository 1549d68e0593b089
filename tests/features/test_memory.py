"""Batches that a GPU's memory does not hold: halved, remembered, and part of the key where they decide bits."""

import numpy as np
import pytest
import torch
from conftest import one_clear_line

from hashbench import load_dataset, load_model
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.errors import InputError
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extracted import ExtractedFeatures
from hashbench.features.extraction import extract_features, extract_views
from hashbench.features.from_key import backbone_from_key
from hashbench.models.encode import encode_input

NETWORK = {"image_size": 32, "precision": "fp32"}
TORCH = {**NETWORK, "onnx": False}
N_IMAGES = 100


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def small_gpu(monkeypatch):
    """Let a device hold 10 images at once; return how many were tried each time."""
    tried, extract = [], Backbone.extract

    def limited(backbone, images, *others):
        tried.append(len(images))
        if len(images) > limited.holds:
            raise limited.error
        return extract(backbone, images, *others)

    limited.holds = 10
    limited.error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity")
    monkeypatch.setattr(Backbone, "extract", limited)
    monkeypatch.setattr("hashbench.features.hardware.memory._fitting", {}, raising=False)
    limited.tried = tried
    return limited


def test_a_batch_that_does_not_fit_is_halved_and_what_fits_is_remembered(small_gpu, images):
    backbone, rows = open_backbone("pixels", device="cpu"), np.arange(N_IMAGES)
    found = extract_features(backbone, images, rows)
    assert (found == images.transpose(0, 3, 1, 2).reshape(N_IMAGES, -1).astype(np.float32) / np.float32(255)).all()
    assert small_gpu.tried[:6] == [32, 16, 8, 8, 8, 8]
    assert sum(n for n in small_gpu.tried if n <= 8) == N_IMAGES
    assert max(small_gpu.tried[2:]) == 8
    small_gpu.tried.clear()
    extract_features(open_backbone("pixels", device="cpu"), images, rows)  # another backbone of the same kind
    assert max(small_gpu.tried) == 8


def test_views_that_do_not_fit_are_those_of_whole_batches(small_gpu, images):
    rows = np.arange(9, N_IMAGES)
    small_gpu.holds = N_IMAGES
    whole = extract_views(open_backbone("pixels", device="cpu"), images, rows, PHOTO_VIEWS, 3, [1, 2])
    small_gpu.holds = 10
    halved = extract_views(open_backbone("pixels", device="cpu"), images, rows, PHOTO_VIEWS, 3, [1, 2])
    assert (whole == halved).all()
    assert small_gpu.tried.count(32) == 5  # two batches of two views, and the first that is halved
    assert max(small_gpu.tried[-8:]) == 8


@pytest.mark.parametrize(
    "message", ["CUBLAS_STATUS_ALLOC_FAILED when calling", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"]
)
def test_messages_of_cuda_libraries_are_recognised(small_gpu, images, message):
    small_gpu.error = RuntimeError(message)
    backbone = open_backbone("pixels", device="cpu")
    assert extract_features(backbone, images, np.arange(40)).shape == (40, 192)
    small_gpu.holds = 0
    with pytest.raises(RuntimeError, match=f"one image does not fit .*{message[:20]}"):
        extract_features(backbone, images, np.arange(40))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
)
def test_another_error_is_not_tried_again(small_gpu, images, error):
    small_gpu.error = error
    with pytest.raises(RuntimeError, match=str(error)):
        extract_features(open_backbone("pixels", device="cpu"), images, np.arange(40))
    assert small_gpu.tried == [32]


def test_one_image_that_does_not_fit_says_what_it_needed(small_gpu, images):
    small_gpu.holds = 0
    with pytest.raises(RuntimeError, match="one image does not fit") as caught:
        extract_features(open_backbone("pixels", device="cpu"), images, np.arange(40))
    assert str(caught.value) == (
        "one image does not fit into the GPU's memory for features of pixels: it needed 2.50 GiB more; choose a "
        "smaller --image-size or --backbone, or --device cpu"
    )
    assert small_gpu.tried == [32, 16, 8, 4, 2, 1]


def test_encode_fits_batches_too(small_gpu, tmp_path, cli):
    out = tmp_path / "out"
    done = cli("run", "--methods", "lsh", "--bits", 8, "--save-models", "--device", "cpu", "--out", out)
    assert done.returncode == 0, done.stderr
    (file,) = (out / "models").iterdir()
    np.save(tmp_path / "images.npy", load_dataset("digits").images[:50])
    codes = encode_input(load_model(file, device="cpu"), tmp_path / "images.npy").codes
    assert max(small_gpu.tried[-5:]) == 8
    small_gpu.holds = N_IMAGES
    assert (codes == encode_input(load_model(file, device="cpu"), tmp_path / "images.npy").codes).all()
    small_gpu.holds = 0
    done = cli("encode", file, tmp_path / "images.npy", "-o", tmp_path / "codes.npy", "--device", "cpu")
    one_clear_line(done, "images.npy: one image does not fit into the GPU's memory")


def test_a_batch_size_is_named_by_the_key_where_it_decides_bits(cuda):
    default = open_backbone("tf_efficientnet_lite0", device="cpu", **TORCH)
    same = open_backbone("tf_efficientnet_lite0", device="cpu", batch_size=32, **TORCH)
    other = open_backbone("tf_efficientnet_lite0", device="cpu", batch_size=64, **TORCH)
    assert (default.batch_size, other.batch_size) == (32, 64)
    assert default.key == same.key
    assert other.key == {**default.key, "batch_size": 64}
    on_gpu = open_backbone("tf_efficientnet_lite0", device="cuda", batch_size=64, **NETWORK)
    assert (on_gpu.batch_size, on_gpu.key) == (64, default.key)
    assert open_backbone("tf_efficientnet_lite0", device="cuda", **NETWORK).batch_size == 256


def test_a_key_gives_its_batch_size_back(cuda):
    key = {**open_backbone("tf_efficientnet_lite0", device="cpu", batch_size=64, **NETWORK).key, "pipeline": 1}
    assert backbone_from_key(key, device="cpu").batch_size == 64
    assert backbone_from_key(key, device="cuda").batch_size == 64
    assert backbone_from_key(key, device="cuda", batch_size=8).batch_size == 8
    with pytest.raises(InputError, match="batch_size is 8, the model's is 64"):
        backbone_from_key(key, device="cpu", batch_size=8)
    for odd in (0, -1, True, "64", 10**9):
        with pytest.raises(InputError, match="no usable batch_size"):
            backbone_from_key({**key, "batch_size": odd}, device="cpu")


def test_the_network_is_let_go_with_the_memory_around_it(cuda, tmp_path):
    backbone = open_backbone("tf_efficientnet_lite0", device="cuda", **NETWORK)
    source = ExtractedFeatures(load_dataset("digits"), backbone, tmp_path)
    assert source.backbone is backbone
    backbone._network = torch.nn.Linear(2, 2)
    source.release()
    assert backbone._network is None
    assert cuda.emptied == 1
    ExtractedFeatures(load_dataset("digits"), lambda: pytest.fail("it was not needed"), tmp_path).release()


@pytest.mark.parametrize("command", ["run", "encode"])
@pytest.mark.parametrize("size", [0, -3])
def test_batches_of_nothing_are_refused_in_one_line(cli, tmp_path, command, size):
    if command == "run":
        done = cli("run", "--methods", "lsh", "--batch-size", size, "--out", tmp_path / "out")
        one_clear_line(done, f"--batch-size {size}: expected at least 1")
    else:
        done = cli("encode", tmp_path / "model", tmp_path, "-o", tmp_path / "codes.npy", "--batch-size", size)
        one_clear_line(done, "--batch-size", "greater than or equal to 1")


def test_a_file_sets_the_batch_size(cli, tmp_path):
    (tmp_path / "bench.toml").write_text('methods = "lsh"\nbits = 8\nbatch-size = 0\n')
    one_clear_line(cli("run", tmp_path / "bench.toml"), "bench.toml, line 3: --batch-size 0: expected at least 1")
