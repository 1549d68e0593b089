"""Which GPU each worker process sees, and what a run says where several share one."""

import threading
from types import SimpleNamespace

import pytest

import hashbench
from hashbench.records.store import Store
from hashbench.runs import run as run_module
from hashbench.runs import tasks
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.run import run
from hashbench.runs.workers import worker
from hashbench.runs.workers.callers import InProcess


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Return a function: which GPUs the workers of a run would see, None where they see those of this process."""

    def of(n_installed=0, **options):
        environments = []

        def popen(command, env, **others):
            environments.append(env.get("CUDA_VISIBLE_DEVICES"))
            return SimpleNamespace(pid=-1)

        def whole_run(options, store, log, callers, cluster):
            def start_all():
                for caller in callers[1:]:  # the run has started the first
                    caller.start()
                    caller._process = None
                callers[0]._process = None
                return environments

            return SimpleNamespace(options=options, store=store, planned=list, compute=lambda jobs: start_all())

        monkeypatch.setattr("hashbench.runs.workers.gpus._n_installed", lambda: n_installed, raising=False)
        monkeypatch.setattr(worker.subprocess, "Popen", popen)
        monkeypatch.setattr(run_module, "Grid", whole_run)
        return run(RunOptions(out=tmp_path / "out", **options))

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return of


@pytest.mark.parametrize(
    ("visible", "options", "expected"),
    [
        (None, {"n_installed": 2, "jobs": 3}, ["0", "1", "0"]),
        (None, {"n_installed": 4, "jobs": 3, "devices": 2}, ["0,1", "2,3", "0,1"]),
        (None, {"n_installed": 3, "jobs": 2, "devices": 2}, ["0,1", "0,1"]),
        (None, {"n_installed": 2, "jobs": 2, "devices": 3}, [None, None]),
        (None, {"n_installed": 2, "jobs": 2, "device": "cuda"}, ["0", "1"]),
        (None, {"n_installed": 2, "jobs": 2, "device": "cuda:1"}, [None, None]),
        (None, {"n_installed": 2, "jobs": 2, "device": "cpu"}, [None, None]),
        (None, {"n_installed": 2, "jobs": 1}, [None]),
        (None, {"n_installed": 0, "jobs": 2}, [None, None]),
        ("3,1", {"n_installed": 8, "jobs": 3}, ["3", "1", "3"]),
        ("GPU-8a56, MIG-3f2/1/0", {"n_installed": 8, "jobs": 3}, ["GPU-8a56", "MIG-3f2/1/0", "GPU-8a56"]),
        ("2,-1,3", {"n_installed": 8, "jobs": 2}, ["2", "2"]),
        ("", {"n_installed": 8, "jobs": 2}, ["", ""]),
        ("5", {"n_installed": 8, "jobs": 1}, ["5"]),
    ],
)
def test_each_worker_sees_a_gpu_in_turn(seen, monkeypatch, visible, options, expected):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert seen(**options) == expected


def shared_lines(monkeypatch, tmp_path, n_gpus, **options):
    """Return the lines of a run of two cells at once that speak of sharing a GPU."""
    lines = []
    monkeypatch.setattr("hashbench.runs.workers.gpus._n_installed", lambda: n_gpus, raising=False)
    monkeypatch.setattr(run_module, "caller_of", lambda *arguments: InProcess())
    monkeypatch.setattr(tasks, "compute", lambda job, options: tasks_failed(job, options))
    monkeypatch.setattr(run_module.threading, "Lock", threading.RLock)
    methods = options.pop("methods", "greedyhash[epochs=1]")
    options = RunOptions(methods=methods, bits="8,16", out=tmp_path / "out", jobs=2, **options)
    run(options, hashbench.progress.Watch(lines.append))
    return [line for line in lines if "share" in line]


def tasks_failed(job, options):
    from hashbench.runs.recording import new_record, now

    record = new_record(job, options, now(), status="failed", error="it is not computed here")
    Store(options.out).write(record)
    return record


@pytest.mark.parametrize(
    ("n_gpus", "options", "said"),
    [
        (1, {}, "--jobs 2: 2 GPUs for 2 cells at once, and 1 to use"),
        (3, {"devices": 2}, "--jobs 2: 4 GPUs for 2 cells at once, and 3 to use"),
        (4, {"device": "cuda:1"}, "--jobs 2: 2 GPUs for 2 cells at once, and 1 to use"),
        (2, {}, ""),
        (0, {}, ""),
        (1, {"device": "cpu"}, ""),
        (1, {"methods": "lsh"}, ""),
    ],
)
def test_cells_that_share_a_gpu_are_reported(cuda, monkeypatch, tmp_path, n_gpus, options, said):
    cuda.count = 4
    lines = shared_lines(monkeypatch, tmp_path, n_gpus, **options)
    assert len(lines) == bool(said)
    assert said in "".join(lines)
