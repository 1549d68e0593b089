"""Precisions of a GPU: bfloat16 and TF32 only where they are named or the hardware has them."""

import os

import pytest
import torch
from pretended_gpu import pretended_gpu
from small_backbones import photos, small_backbone
from torch import nn

from hashbench import InputError, Unsupported, load_method
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.hardware.deterministic import deterministic_algorithms
from hashbench.features.hardware.precision import choose_precision, fabric_precision, float32_products
from hashbench.features.options import BackboneOptions
from hashbench.learning.deep import DeepMethod
from hashbench.runs import cell


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_default_is_one_thing_everywhere(device):
    with pretended_gpu(major=9):
        backbone = open_backbone("tf_efficientnet_lite0", image_size=32, device=device)
    assert BackboneOptions().precision == "fp32"
    assert backbone.key["precision"] == "32-true"


@pytest.mark.parametrize("word", ["bf16", "fp16", "fp32"])
def test_an_older_gpu_computes_in_what_is_named(word):
    with pretended_gpu(major=7):
        assert choose_precision(word, "cuda") == {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}[word]


def test_tf32_needs_a_gpu_that_has_it():
    with pytest.raises(InputError, match=r"precision tf32 needs a GPU of compute capability 8\.0 or higher"):
        choose_precision("tf32", "cpu")
    with pretended_gpu(major=7), pytest.raises(InputError, match="precision tf32 needs a GPU"):
        choose_precision("tf32", "cuda")
    with pretended_gpu(major=8):
        assert choose_precision("tf32", "cuda") == "tf32"
    assert fabric_precision("tf32") == "32-true"
    assert fabric_precision("bf16-mixed") == "bf16-mixed"


def test_the_gpu_that_is_named_decides():
    options = {"image_size": 32, "precision": "tf32"}
    with pretended_gpu(major=7, count=2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "get_device_capability", lambda name: {"cuda:1": (8, 0)}.get(name, (7, 0)))
        assert open_backbone("tf_efficientnet_lite0", device="cuda:1", **options).key["precision"] == "tf32"
        for device in ("cuda:0", "cuda"):
            with pytest.raises(InputError, match="precision tf32 needs a GPU"):
                open_backbone("tf_efficientnet_lite0", device=device, **options)


def settings():
    """Return what products and convolutions compute in."""
    matmul = torch.backends.cuda.matmul.allow_tf32
    cudnn = torch.backends.cudnn
    return matmul, cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32


@pytest.fixture(params=["highest", "high"])
def before(request):
    """Return the settings that the user has chosen."""
    torch.set_float32_matmul_precision(request.param)
    yield settings()
    torch.set_float32_matmul_precision("highest")


def test_tf32_is_used_only_where_it_is_named_and_put_back(before):
    gpu = torch.device("cuda")
    with float32_products(gpu):
        assert settings() == (False, False)
        with float32_products(gpu, "tf32"):
            assert settings() == (True, True)
        assert settings() == (False, False)
    assert settings() == before
    with pytest.raises(ZeroDivisionError), float32_products(gpu):
        raise ZeroDivisionError
    assert settings() == before
    with float32_products(torch.device("cpu")):
        assert settings() == before


class Watched(DeepMethod):
    """Notes what its products compute in."""

    def network(self, n_features):
        return nn.Linear(n_features, self.n_bits)

    def loss(self, outputs, batch):
        self.seen = settings()
        return {"loss": outputs.square().mean()}


@pytest.mark.parametrize(("precision", "expected"), [("32-true", False), ("tf32", True), ("bf16-mixed", False)])
def test_a_training_keeps_to_its_precision_inside_fabric(data, before, precision, expected):
    method = Watched(8, epochs=1, precision=precision)
    with pretended_gpu():
        method.fit(data[:100], device="cuda")
    assert method.seen == (expected, expected)
    assert settings() == before


@pytest.mark.parametrize(("precision", "expected"), [("32-true", False), ("tf32", True)])
def test_an_extraction_keeps_to_its_precision(tmp_path, monkeypatch, before, precision, expected):
    seen = []
    with pretended_gpu():
        backbone = small_backbone(tmp_path, device="cuda", precision=precision)
        network = backbone.network()
        real = network.forward_features
        monkeypatch.setattr(network, "forward_features", lambda images: (seen.append(settings()), real(images))[1])
        backbone.features(photos(2))
    assert seen == [(expected, expected)]
    assert settings() == before


def test_tf32_is_no_precision_of_a_cpu(data):
    with pytest.raises(Unsupported, match="precision='tf32': expected another on a CPU"):
        load_method("greedyhash")(8, precision="tf32").fit(data)


def test_deterministic_algorithms_are_asked_for_and_put_back(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with deterministic_algorithms(False):
        assert not torch.are_deterministic_algorithms_enabled()
    with deterministic_algorithms(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic_algorithms(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.parametrize("option", [(), ("--deterministic",)], ids=["default", "deterministic"])
def test_a_run_computes_its_cells_so_and_puts_it_back(cli, tmp_path, monkeypatch, option):
    seen, run_job = [], cell.run_job

    def watched(*arguments):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return run_job(*arguments)

    monkeypatch.setattr(cell, "run_job", watched)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    done = cli("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path / "out", *option)
    assert done.returncode == 0, done.stderr
    assert seen == [bool(option)]
    assert not torch.are_deterministic_algorithms_enabled()
