"""GPUs in a run: what a failed cell leaves, and features that do not fit."""

import os
import sys
import threading
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest
from gpu_cells import Answering, only_record

from hashbench.records.store import Store
from hashbench.runs import run as run_module
from hashbench.runs import tasks
from hashbench.runs.cluster import machine
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.run import run
from hashbench.runs.workers import child
from hashbench.runs.workers.callers import InProcess
from hashbench.runs.workers.worker import JobRaised

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


def test_a_failed_cell_gives_its_memory_back(cuda, gpu_methods):
    cuda.started = True
    record = only_record(gpu_methods, "on_device[how=breaks]", device="cuda")
    assert (record.status, record.error) == ("failed", "RuntimeError: CUDA error: device-side assert triggered")
    emptied = cuda.emptied
    assert emptied >= 1
    only_record(gpu_methods, "on_device[how=uses]", device="cuda")
    assert cuda.emptied == emptied + 1  # after the features; memory that a method is done with serves the next one


def test_a_cell_that_is_timed_again_and_fails_gives_its_memory_back(cuda, gpu_methods, monkeypatch):
    done, compute = [], tasks.compute
    monkeypatch.setattr(tasks, "compute", lambda *arguments: (done.append(arguments), compute(*arguments))[1])
    record = only_record(gpu_methods, "on_device[how=uses]", device="cuda")
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

    monkeypatch.setattr(run_module, "caller_of", lambda *arguments: OutOfMemory())
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
