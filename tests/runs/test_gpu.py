"""GPUs in a run: what a failed cell leaves, which GPU each worker sees, what records say of them."""

import os
import sys
import threading
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest

import hashbench
from hashbench.records.store import Store
from hashbench.runs import run as run_module
from hashbench.runs import tasks
from hashbench.runs.cluster import machine
from hashbench.runs.gpu import GpuUse
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.run import InProcess, run
from hashbench.runs.workers import child
from hashbench.runs.workers.worker import JobRaised, Worker

METHOD = """
import sys
from hashbench import HashMethod


class {name}(HashMethod):
    '''Pretends to compute on the mocked GPU, as its parameter says.'''

    def __init__(self, n_bits=8, how: str = "well"):
        self.n_bits = n_bits
        self.how = how

    def fit(self, X, y=None{extras}):
        sys.modules["pretended"].works(self.how)
        return self

    def project(self, X):
        return X[:, 20 : 20 + self.n_bits] - 0.5
"""

TRAINED = """
import numpy as np
from hashbench.learning.deep import DeepMethod


class Trained(DeepMethod):
    '''Pretends to train.'''

    def network(self, n_features):
        raise NotImplementedError

    def fit(self, X, y=None, *, device, devices):
        self.weights1_ = np.eye(X.shape[1], self.n_bits, -20, np.float32)
        self.bias1_, self.activations_ = np.full(self.n_bits, -0.5, np.float32), ["identity"]
        return self
"""


@pytest.fixture
def plugins(tmp_path, cuda, monkeypatch):
    """Return a folder with a method that asks for devices and one that does not."""

    def works(how):
        if how == "well":
            return
        cuda.init()
        cuda.peak = cuda.allocated + 300 * 2**20
        cuda.allocated += 2**20
        if how == "breaks":
            cuda.broken = True
            raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setitem(sys.modules, "pretended", SimpleNamespace(works=works))
    monkeypatch.setattr("hashbench.runs.training._warm_up", lambda device: None)
    (tmp_path / "on_device.py").write_text(METHOD.format(name="OnDevice", extras=", *, device, devices"))
    (tmp_path / "on_cpu.py").write_text(METHOD.format(name="OnCpu", extras=""))
    return tmp_path


def only_record(folder, method, **options):
    """Return the record of a run of one cell."""
    files = [folder / "on_device.py", folder / "on_cpu.py"]
    hashbench.run(methods=method, bits=[8], plugins=files, out=folder / method, in_process=True, **options)
    (record,) = Store(folder / method)
    return record


# --- what a failed cell leaves -----------------------------------------------------------------------------


def answers(monkeypatch, *functions):
    """Return what a worker process answers to requests, computed in a thread of this process."""
    monkeypatch.setattr(child, "_end_with_parent", lambda lifeline: None)
    monkeypatch.setattr(child, "_forget_output", lambda: None)
    monkeypatch.setattr(child, "warm_up", lambda: None)
    monkeypatch.setattr(child, "send_to", lambda send: None)
    here, there = Pipe()
    monkeypatch.setattr(sys, "argv", ["child", str(os.dup(there.fileno())), "0"])
    there.close()
    thread = threading.Thread(target=child.main)
    thread.start()
    assert here.recv()[0] == "ready"
    replies = []
    for number, function in enumerate(functions):
        here.send((number, function, ()))
        replies.append(here.recv())
    here.close()
    thread.join(10)
    return replies


def fails():
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def well():
    return "well"


@pytest.mark.parametrize(("function", "kind"), [(fails, "broken"), (well, "done")])
def test_a_process_says_that_its_cuda_is_broken(cuda, monkeypatch, function, kind):
    cuda.started, cuda.allocated, cuda.broken = True, 2**20, True
    ((answered, (number, _, left)),) = answers(monkeypatch, function)
    assert (answered, number) == (kind, 0)
    assert "a CUDA context that an error has broken" in left


@pytest.mark.parametrize(("started", "allocated", "broken"), [(False, 0, True), (True, 0, True), (True, 2**20, False)])
def test_a_process_that_can_go_on_says_nothing(cuda, monkeypatch, started, allocated, broken):
    """Where no context is, none is made to find out."""
    cuda.started, cuda.allocated, cuda.broken = started, allocated, broken
    for _, (_, _, left) in answers(monkeypatch, fails, well):
        assert not left
    assert cuda.started == started


class Answering(Worker):
    """A worker whose process is none, and whose replies are given."""

    def __init__(self, *replies):
        super().__init__(log=lambda line: self.lines.append(line))
        self.replies, self.lines, self.n_closed, self.n_started = list(replies), [], 0, 0

    def start(self):
        if self._process is None:
            self.n_started += 1
            self._process, self._requests = object(), SimpleNamespace(send=lambda request: None)

    def _wait(self, timeout, max_memory, *kinds):
        if kinds == ("ready",):
            return "ready", None
        kind, value, left = self.replies.pop(0)
        return kind, (self._asked, value, left)

    def close(self):
        self.n_closed += self._process is not None
        self._process, self._left = None, []


BROKEN = ["a CUDA context that an error has broken"]


def test_the_next_cell_gets_a_new_process_even_of_the_same_method():
    several = Answering(("done", "failed record", BROKEN), ("done", "record", []), ("done", "record", []))
    assert several.call(well, user="a") == "failed record"
    assert (several.n_closed, len(several.lines)) == (1, 1)
    assert several.call(well, user="a") == several.call(well, user="a") == "record"
    assert (several.n_started, several.n_closed) == (2, 1)


def test_what_a_broken_process_raises_is_passed_on():
    several = Answering(("broken", ("RuntimeError: CUDA error", "trace"), BROKEN))
    with pytest.raises(JobRaised, match="CUDA error"):
        several.call(well, user="a")
    assert several.n_closed == 1


def test_a_broken_process_of_a_cluster_does_not_go_back_among_those_that_wait(monkeypatch):
    monkeypatch.setattr(machine, "_idle", {})
    monkeypatch.setattr(machine, "Worker", lambda threads: Answering(("done", "failed record", BROKEN)))
    with machine._child(RunOptions(jobs=1), print) as lent:
        assert lent.call(well, user="a") == "failed record"
    ((waiting,),) = machine._idle.values()
    assert waiting is lent
    assert waiting._process is None


def test_a_failed_cell_gives_its_memory_back(cuda, plugins):
    cuda.started = True
    record = only_record(plugins, "on_device[how=breaks]", device="cuda")
    assert (record.status, record.error) == ("failed", "RuntimeError: CUDA error: device-side assert triggered")
    emptied = cuda.emptied
    assert emptied >= 1
    only_record(plugins, "on_device[how=uses]", device="cuda")
    assert cuda.emptied == emptied + 1  # after the features; memory that a method is done with serves the next one


def test_a_cell_that_is_timed_again_and_fails_gives_its_memory_back(cuda, plugins, monkeypatch):
    done, compute = [], tasks.compute
    monkeypatch.setattr(tasks, "compute", lambda *arguments: (done.append(arguments), compute(*arguments))[1])
    record = only_record(plugins, "on_device[how=uses]", device="cuda")
    emptied = cuda.emptied

    def fails(how):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(sys.modules["pretended"], "works", fails)
    assert tasks.time_again(*done[0]).timings == record.timings
    assert cuda.emptied == emptied + 1


BREAKS = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from hashbench import HashMethod


class Breaks(HashMethod):
    '''Breaks what it takes for CUDA, and fails in a process where that is broken.'''

    def __init__(self, n_bits=8, how: str = "well"):
        self.n_bits = n_bits
        self.how = how

    def fit(self, X, y=None):
        torch = sys.modules.get("torch")
        if self.how == "breaks":
            def fails(number=None): raise RuntimeError("CUDA error: device-side assert triggered")
            cuda = SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 1, memory_reserved=lambda n: 1,
                                   max_memory_allocated=lambda n: 1, memory_allocated=lambda n: 1, empty_cache=fails,
                                   reset_peak_memory_stats=fails, synchronize=fails)
            sys.modules["torch"] = SimpleNamespace(cuda=cuda)
            torch = sys.modules["torch"]
        if torch is not None:
            torch.cuda.synchronize()
        return self

    def project(self, X):
        return X[:, 20 : 20 + self.n_bits] - 0.5
"""


@pytest.mark.slow
def test_a_cell_that_breaks_cuda_fails_alone(tmp_path, cli):
    (tmp_path / "breaks.py").write_text(BREAKS)
    arguments = ("--plugin", tmp_path / "breaks.py", "--methods", "breaks[how=breaks],breaks", "--bits", "8,16")
    done = cli("run", *arguments, "--timeout", 100, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    ended = {(record.label, record.config["n_bits"]): record.status for record in Store(tmp_path / "out")}
    assert ended == {
        ("breaks[how=breaks]", 8): "failed",
        ("breaks[how=breaks]", 16): "failed",
        ("breaks", 8): "ok",
        ("breaks", 16): "ok",
    }
    assert done.stderr.count("an error on the GPU has broken its process") == 2


# --- features that do not fit ------------------------------------------------------------------------------


def test_features_that_cannot_be_made_are_tried_once(monkeypatch, tmp_path):
    tried = []

    class OutOfMemory(InProcess):
        def call(self, function, *arguments, timeout=None, max_memory=None, user=""):
            if function is tasks.make_features:
                tried.append(user)
                raise JobRaised("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "its traceback")
            return function(*arguments)

    monkeypatch.setattr(run_module, "_caller", lambda *arguments: OutOfMemory())
    records = run(RunOptions(methods="lsh,pcah", bits="8,16", out=tmp_path / "out"))
    assert tried == ["lsh"]
    assert {record.status for record in records} == {"failed"}
    for record in records:
        assert record.error == (
            "its features cannot be made: OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
        )
        assert record.output == "its traceback"


@pytest.mark.parametrize("fits", [True, False])
def test_the_backbone_is_let_go_when_features_are_made_and_when_they_cannot_be(cuda, monkeypatch, fits):
    done = []

    class Source:
        def features(self):
            done.append("features")
            if not fits:
                raise RuntimeError("CUDA out of memory")

        def views(self, n_views, views_seed):
            done.append("views")

        def release(self):
            done.append("release")

    cuda.started = True
    monkeypatch.setattr("hashbench.runs.workbench.open_workbench", lambda *arguments: SimpleNamespace(source=Source()))
    job = SimpleNamespace(setting=None, config={"features": {}})
    if fits:
        tasks.make_features(job, [(2, 0)], RunOptions())
    else:
        with pytest.raises(RuntimeError, match="out of memory"):
            tasks.make_features(job, [(2, 0)], RunOptions())
    assert done == (["features", "views", "release"] if fits else ["features", "release"])
    assert cuda.emptied == 1


# --- which GPU ---------------------------------------------------------------------------------------------


def test_a_record_says_on_which_gpu_it_ran_and_how(cuda, plugins):
    record = only_record(plugins, "on_device[how=uses]", device="cuda")
    told = record.environment
    assert record.status == "ok", record.error
    assert (told["device"], told["devices"], told["gpu"], told["gpus"]) == ("cuda", 1, "Pretend", 1)
    assert (told["gpu_memory_mb"], told["cuda"]) == (80 * 1024, "13.0")
    assert set(told["tf32"]) == {"matmul", "convolutions"}
    assert told["deterministic"] is False
    assert "cudnn" in told
    assert record.peak_gpu_memory_mb == 300


def test_a_record_says_how_many_devices_a_method_was_given(cuda, plugins):
    cuda.count = 2
    record = only_record(plugins, "on_device", device="cuda", devices=2)
    assert (record.environment["device"], record.environment["devices"]) == ("cuda", 2)
    assert record.peak_gpu_memory_mb is None


@pytest.mark.parametrize("method", ["on_device", "on_cpu"])
def test_a_cell_on_the_cpu_of_a_machine_with_a_gpu_has_no_gpu_and_starts_no_cuda(cuda, plugins, method):
    record = only_record(plugins, method, device="cpu")
    assert record.status == "ok", record.error
    assert not cuda.started
    assert record.environment["gpu"] is None
    assert "cuda" not in record.environment
    assert record.environment["device"] == "cpu"


def test_a_method_without_a_device_starts_no_cuda_where_there_is_one(cuda, plugins):
    record = only_record(plugins, "on_cpu")
    assert not cuda.started
    assert record.environment["gpu"] is None
    assert record.environment["device"] == "cpu"


def test_memory_of_an_earlier_cell_makes_no_gpu_of_a_cpu(cuda, plugins):
    cuda.started, cuda.allocated, cuda.peak = True, 2**30, 2**31
    record = only_record(plugins, "on_cpu")
    assert (record.environment["gpu"], record.peak_gpu_memory_mb) == (None, None)


def test_a_method_that_takes_the_gpu_unasked_is_found_out(cuda, plugins):
    record = only_record(plugins, "on_cpu[how=uses]")
    assert (record.environment["device"], record.environment["gpu"]) == ("cuda:0", "Pretend")
    assert record.peak_gpu_memory_mb == 300


def test_a_failed_cell_says_it_too(cuda, plugins):
    record = only_record(plugins, "on_device[how=breaks]", device="cuda")
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


def test_codes_ranked_in_two_ways_ran_where_they_were_trained_once(cuda, plugins):
    files, out = [plugins / "on_device.py"], plugins / "out"
    options = {"bits": [8], "device": "cuda", "distance": "hamming,asymmetric", "in_process": True}
    hashbench.run(methods="on_device[how=uses]", plugins=files, out=out, **options)
    one, other = Store(out)
    assert one.config.get("distance") != other.config.get("distance")
    assert one.peak_gpu_memory_mb == other.peak_gpu_memory_mb == 300
    assert one.environment["tf32"] == other.environment["tf32"]


@pytest.mark.parametrize(("precision", "tf32"), [("32-true", False), ("tf32", True), ("bf16-mixed", False)])
def test_a_deep_methods_products_keep_to_its_precision_whatever_torchs_settings_are(cuda, plugins, precision, tf32):
    (plugins / "trained.py").write_text(TRAINED)
    method = f"trained[precision={precision}]"
    hashbench.run(
        methods=method, bits=[8], plugins=[plugins / "trained.py"], out=plugins / "out", in_process=True, device="cuda"
    )
    (record,) = Store(plugins / "out")
    assert record.status == "ok", record.error
    assert record.environment["tf32"] == {"matmul": tf32, "convolutions": tf32}


def test_torchs_settings_are_those_of_the_cell(cuda, plugins, monkeypatch):
    import torch

    works = sys.modules["pretended"].works

    def strictly(how):
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("high")
        works(how)

    monkeypatch.setattr(sys.modules["pretended"], "works", strictly)
    told = only_record(plugins, "on_device", device="cuda").environment
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
