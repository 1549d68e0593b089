"""GPUs in a run: which GPU each worker sees, and what records say of it."""

import sys

import pytest
from gpu_cells import TRAINED, Answering, only_record

import hashbench
from hashbench.records.store import Store
from hashbench.runs import run as run_module
from hashbench.runs.gpu import GpuUse


def test_a_record_says_on_which_gpu_it_ran_and_how(cuda, gpu_methods):
    record = only_record(gpu_methods, "on_device[how=uses]", device="cuda")
    told = record.environment
    assert record.status == "ok", record.error
    assert (told["device"], told["devices"], told["gpu"], told["gpus"]) == ("cuda", 1, "Pretend", 1)
    assert (told["gpu_memory_mb"], told["cuda"]) == (80 * 1024, "13.0")
    assert set(told["tf32"]) == {"matmul", "convolutions"}
    assert told["deterministic"] is False
    assert "cudnn" in told
    assert record.peak_gpu_memory_mb == 300


def test_a_record_says_how_many_devices_a_method_was_given(cuda, gpu_methods):
    cuda.count = 2
    record = only_record(gpu_methods, "on_device", device="cuda", devices=2)
    assert (record.environment["device"], record.environment["devices"]) == ("cuda", 2)
    assert record.peak_gpu_memory_mb is None


@pytest.mark.parametrize("method", ["on_device", "on_cpu"])
def test_a_cell_on_the_cpu_of_a_machine_with_a_gpu_has_no_gpu_and_starts_no_cuda(cuda, gpu_methods, method):
    record = only_record(gpu_methods, method, device="cpu")
    assert record.status == "ok", record.error
    assert not cuda.started
    assert record.environment["gpu"] is None
    assert "cuda" not in record.environment
    assert record.environment["device"] == "cpu"


def test_a_method_without_a_device_starts_no_cuda_where_there_is_one(cuda, gpu_methods):
    record = only_record(gpu_methods, "on_cpu")
    assert not cuda.started
    assert record.environment["gpu"] is None
    assert record.environment["device"] == "cpu"


def test_memory_of_an_earlier_cell_makes_no_gpu_of_a_cpu(cuda, gpu_methods):
    cuda.started, cuda.allocated, cuda.peak = True, 2**30, 2**31
    record = only_record(gpu_methods, "on_cpu")
    assert (record.environment["gpu"], record.peak_gpu_memory_mb) == (None, None)


def test_a_method_that_takes_the_gpu_unasked_is_found_out(cuda, gpu_methods):
    record = only_record(gpu_methods, "on_cpu[how=uses]")
    assert (record.environment["device"], record.environment["gpu"]) == ("cuda:0", "Pretend")
    assert record.peak_gpu_memory_mb == 300


def test_a_failed_cell_says_it_too(cuda, gpu_methods):
    record = only_record(gpu_methods, "on_device[how=breaks]", device="cuda")
    assert record.status == "failed"
    assert (record.environment["device"], record.environment["gpu"]) == ("cuda", "Pretend")
    assert record.peak_gpu_memory_mb == 300


def test_memory_given_back_within_a_cell_counts_and_memory_given_back_before_it_does_not(cuda):
    """The allocator holds nothing when a cell begins, after the features, nor when a fine-tuned one has ended."""
    cuda.started, cuda.peak = True, 2**31
    with GpuUse("cuda") as use:
        cuda.peak = 300 * 2**20
    assert use.told["peak_gpu_memory_mb"] == 300
    with GpuUse() as use:
        pass
    assert use.told == {"ran_on": {"device": "cpu", "devices": 1, "gpu": None}, "peak_gpu_memory_mb": None}


def test_codes_ranked_in_two_ways_ran_where_they_were_trained_once(cuda, gpu_methods):
    files, out = [gpu_methods / "on_device.py"], gpu_methods / "out"
    options = {"bits": [8], "device": "cuda", "distance": "hamming,asymmetric", "in_process": True}
    hashbench.run(methods="on_device[how=uses]", plugins=files, out=out, **options)
    one, other = Store(out)
    assert one.config.get("distance") != other.config.get("distance")
    assert one.peak_gpu_memory_mb == other.peak_gpu_memory_mb == 300
    assert one.environment["tf32"] == other.environment["tf32"]


@pytest.mark.parametrize(("precision", "tf32"), [("32-true", False), ("tf32", True), ("bf16-mixed", False)])
def test_a_deep_methods_products_keep_to_its_precision_whatever_torchs_settings_are(cuda, gpu_methods, precision, tf32):
    (gpu_methods / "trained.py").write_text(TRAINED)
    method = f"trained[precision={precision}]"
    hashbench.run(
        methods=method,
        bits=[8],
        plugins=[gpu_methods / "trained.py"],
        out=gpu_methods / "out",
        in_process=True,
        device="cuda",
    )
    (record,) = Store(gpu_methods / "out")
    assert record.status == "ok", record.error
    assert record.environment["tf32"] == {"matmul": tf32, "convolutions": tf32}


def test_torchs_settings_are_those_of_the_cell(cuda, gpu_methods, monkeypatch):
    import torch

    works = sys.modules["pretended"].works

    def strictly(how):
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("high")
        works(how)

    monkeypatch.setattr(sys.modules["pretended"], "works", strictly)
    told = only_record(gpu_methods, "on_device", device="cuda").environment
    assert told["deterministic"] is True
    assert told["tf32"]["matmul"] is True
    assert not torch.are_deterministic_algorithms_enabled()


def test_env_says_why_there_is_no_gpu(cuda, cli):
    cuda.refusal = "The NVIDIA driver on your system is too old (found version 11040)."
    assert "gpu: none: the NVIDIA driver is too old for torch" in cli("env", "--torch").stdout
    cuda.refusal = ""
    shown = cli("env", "--torch").stdout
    assert "gpu: Pretend" in shown
    assert "tf32: matmul False" in shown


def test_a_run_says_once_what_several_workers_find_out():
    lines = []
    watch = hashbench.progress.Watch(lines.append)
    for _ in range(3):
        one = Answering()
        one.watch = watch
        one._show("once", "--device auto: no NVIDIA GPU is visible; computing on the CPU")
    assert len(lines) == 1


def test_a_plan_for_other_machines_says_nothing_of_this_ones_device():
    lines = []
    planner = Answering()
    planner.watch = run_module._OtherMachines(lines.append)
    planner._show("once", "--device auto: no NVIDIA GPU is visible; computing on the CPU")
    planner._show("line", "digits: 1,797 items")
    assert lines == ["digits: 1,797 items"]
