"""Which device is chosen on which machine, and what is said where it is not the GPU."""

import numpy as np
import pytest
import torch
from conftest import one_clear_line
from mocked_cuda import NO_DRIVER, NO_GPU, TOO_OLD

from hashbench import load_method
from hashbench.errors import InputError
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.hardware.devices import choose_device, refuse_missing_devices

X, y = np.random.default_rng(0).standard_normal((40, 4), dtype=np.float32), np.arange(40) % 2


class Stop(Exception):
    """Ends a training where it would begin."""


def cpu_build(cuda, monkeypatch):
    cuda.count, cuda.refusal = 0, "Torch not compiled with CUDA enabled"
    monkeypatch.setattr(torch.version, "cuda", None)


def no_gpu(cuda, monkeypatch):
    cuda.count, cuda.refusal = 0, NO_GPU


def no_driver(cuda, monkeypatch):
    cuda.count, cuda.refusal = 0, NO_DRIVER


def hidden_gpu(cuda, monkeypatch):
    no_gpu(cuda, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def old_driver(cuda, monkeypatch):
    cuda.refusal = TOO_OLD


def old_gpu(cuda, monkeypatch):
    cuda.capability = (6, 1)


def new_gpu(cuda, monkeypatch):
    cuda.capability = (12, 0)


def broken_driver(cuda, monkeypatch):
    cuda.refusal = "CUDA unknown error\nmore of it"


CASES = [
    (cpu_build, "is a build for CPUs; install one for CUDA"),
    (no_gpu, "no NVIDIA GPU is visible"),
    (no_driver, "no NVIDIA GPU is visible"),
    (hidden_gpu, "no NVIDIA GPU is visible (CUDA_VISIBLE_DEVICES='')"),
    (old_driver, f"the NVIDIA driver is too old for torch {torch.__version__} for CUDA 13.0; update the driver"),
    (old_gpu, f"Pretend with compute capability 6.1 is too old for torch {torch.__version__}, built for sm_75, sm_80"),
    (new_gpu, "Pretend with compute capability 12.0 is too new for torch"),
    (broken_driver, "CUDA cannot be started (RuntimeError: CUDA unknown error)"),
]


@pytest.mark.parametrize(("machine", "reason"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_auto_says_once_why_it_is_the_cpu(cuda, monkeypatch, capsys, machine, reason):
    machine(cuda, monkeypatch)
    assert [choose_device("auto"), choose_device("auto")] == ["cpu", "cpu"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--device auto: ")
    assert reason in line
    assert line.endswith("; computing on the CPU")


@pytest.mark.parametrize(("machine", "reason"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_gpu_that_was_asked_for_and_cannot_be_used_is_refused(cuda, monkeypatch, tmp_path, cli, machine, reason):
    machine(cuda, monkeypatch)
    done = cli("run", "--methods", "lsh", "--device", "cuda", "--out", tmp_path / "out")
    one_clear_line(done, "--device cuda: ", reason)
    assert not (tmp_path / "out" / "records").exists()


def test_auto_is_the_gpu_where_it_can_be(cuda, capsys):
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    cuda.count = 2
    assert choose_device("cuda:1") == "cuda:1"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("built_for", "capability", "runs"),
    [
        (["sm_80"], (8, 6), True),
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["sm_80", "compute_80"], (12, 0), True),
        (["compute_90"], (8, 9), False),
        (["sm_90a"], (9, 0), True),
        (["compute_90a"], (10, 0), False),
        (["sm_100f"], (10, 3), True),
        (["sm_100f"], (12, 0), False),
        (["sm_101"], (10, 0), False),
        ([], (6, 1), True),
        (["gfx942"], (9, 4), True),
    ],
)
def test_machine_code_runs_within_its_major_version_and_ptx_on_all_later_devices(cuda, built_for, capability, runs):
    cuda.built_for, cuda.capability = built_for, capability
    assert choose_device("auto") == ("cuda" if runs else "cpu")


@pytest.mark.parametrize(
    ("device", "devices", "words"),
    [
        ("cuda", 3, "--devices 3: 2 CUDA devices are visible"),
        ("auto", 3, "--devices 3: 2 CUDA devices are visible"),
        ("cuda:9", 1, "--device cuda:9: the last of the visible CUDA devices is cuda:1"),
        ("cuda:1", 2, "--devices 2: --device cuda:1 is a single one; use --device cuda"),
        (
            "mps",
            1,
            "--device mps: expected one of auto, cpu, cuda or cuda:NUMBER; GPUs of Apple (mps) are not supported",
        ),
        ("cuda:-1", 1, "--device cuda:-1: expected one of auto, cpu, cuda or cuda:NUMBER"),
        ("gpu", 1, "--device gpu: expected one of auto, cpu, cuda or cuda:NUMBER"),
    ],
)
def test_devices_that_are_not_there_are_refused_in_one_line(cuda, tmp_path, cli, device, devices, words):
    cuda.count = 2
    arguments = ("--methods", "lsh", "--device", device, "--devices", devices, "--out", tmp_path / "out")
    one_clear_line(cli("run", *arguments), words)


@pytest.mark.parametrize("device", ["cuda", "cuda:9"])
def test_no_gpu_at_all_is_refused_in_one_line(cuda, monkeypatch, tmp_path, cli, device):
    no_driver(cuda, monkeypatch)
    arguments = ("--methods", "lsh", "--device", device, "--out", tmp_path / "out")
    one_clear_line(cli("run", *arguments), f"--device {device}: no NVIDIA GPU is visible; or use --device cpu")
    with pytest.raises(InputError, match=f"--device {device}: no NVIDIA GPU is visible"):
        load_method("greedyhash")(8).fit(X, y, device=device)
    refuse_missing_devices("auto", 2)  # two processes on the CPU


@pytest.mark.parametrize(("asked", "trained_on"), [("cuda:1", "cuda:1"), ("cuda", "cuda:0"), ("cpu", "cpu")])
def test_fit_trains_on_the_device_that_it_is_given(cuda, monkeypatch, asked, trained_on):
    cuda.count, seen = 2, []

    def trainer(fabric, *others):
        seen.append(str(fabric.device))
        raise Stop

    monkeypatch.setattr("hashbench.learning.training.launch.Trainer", trainer)
    with pytest.raises(Stop):
        load_method("greedyhash")(8).fit(X, y, device=asked)
    assert seen == [trained_on]


def test_the_backbone_is_on_the_device_that_it_is_given(cuda):
    cuda.count = 2
    assert str(open_backbone("pixels", device="cuda:1").fabric.device) == "cuda:1"


@pytest.mark.parametrize("per_node", [None, "2"])
def test_a_job_of_slurm_trains_as_any_other_process(monkeypatch, per_node):
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "training")
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    if per_node is not None:
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", per_node)
    method = load_method("greedyhash")(8, epochs=1, random_state=0).fit(X, y, device="cpu")
    assert method.encode(X).shape == (40, 1)
    assert open_backbone("pixels", device="cpu").fabric.global_rank == 0


def test_two_devices_under_slurm_are_two_processes_that_hashbench_starts(monkeypatch):
    launched = []

    def launch(fabric, *arguments):
        launched.append((fabric.world_size, type(fabric.strategy.cluster_environment).__name__))
        raise Stop

    monkeypatch.setattr("lightning_fabric.Fabric.launch", launch)
    for name, value in {"NTASKS": "2", "NTASKS_PER_NODE": "2", "PROCID": "0", "JOB_NAME": "training"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(Stop):
        load_method("greedyhash")(8).fit(X, y, devices=2)
    assert launched == [(2, "LightningEnvironment")]
