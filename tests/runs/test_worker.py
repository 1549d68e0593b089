"""Worker processes: nothing that a cell does takes the run down, and nothing outlives it."""

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import psutil
import pytest
from conftest import one_clear_line

from hashbench.errors import InputError
from hashbench.records.store import Store
from hashbench.runs.workers.worker import KEEP_MEMORY, Worker, WorkerDied

BAD = """
import ctypes, os, signal, subprocess, sys, threading, time
import numpy as np
from hashbench import HashMethod


class Bad(HashMethod):
    '''Ends in the way that its parameter says.'''

    def __init__(self, n_bits=8, how: str = "well"):
        self.n_bits = n_bits
        self.how = how

    def fit(self, X, y=None):
        getattr(self, self.how)()
        return self

    def project(self, X):
        values = X[:, : self.n_bits] - 0.5
        if self.how == "nan":
            values[0] = np.nan
        return values[:, :-1] if self.how == "narrow" else values

    def well(self): pass
    nan = narrow = well
    def raises(self): raise ValueError("the reason")
    def leaves(self): sys.exit(0)
    def exits(self): os._exit(0)
    def exits_5(self): os._exit(5)
    def segfaults(self): ctypes.string_at(0)
    def interrupts(self): raise KeyboardInterrupt
    def generator(self): raise GeneratorExit
    def hangs(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True: time.sleep(1)
    def forks(self):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        while True: time.sleep(1)
    def grows(self):
        kept = []
        while True: kept.append(np.ones(2**24))
    def prints(self): print("line\\n" * 500_000)
    def floods(self):
        while True: print("x" * 2**20)
"""
ENDS = {
    "raises": "ValueError: the reason",
    "leaves": "SystemExit: 0",
    "exits": "exit code 0",
    "exits_5": "exit code 5",
    "segfaults": "SIGSEGV",
    "interrupts": "KeyboardInterrupt",
    "generator": "GeneratorExit",
    "hangs": "stopped after 5 s (--timeout)",
    "forks": "stopped after 5 s (--timeout)",
    "grows": "MB of memory (--max-memory)",
    "floods": "after printing 64 MiB",
    "nan": "returned nan for row 0, bit 0",
    "narrow": "returned shape",
}


@pytest.fixture
def bad(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(BAD)
    return file


def descendants():
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.slow
def test_every_way_to_end_fails_its_cell_alone(bad, tmp_path, cli):
    before = descendants()
    methods = "bad[how=well]," + ",".join(f"bad[how={how}]" for how in [*ENDS, "prints"]) + ",lsh"
    arguments = ("run", "--plugin", bad, "--methods", methods, "--bits", 8, "--out", tmp_path / "out")
    done = cli(*arguments, "--timeout", 5, "--max-memory", 700)
    assert done.returncode == 1, done.stderr
    records = {record.label: record for record in Store(tmp_path / "out")}
    assert len(records) == len(ENDS) + 3
    for how, reason in ENDS.items():
        record = records[f"bad[how={how}]"]
        assert record.status == "failed", how
        assert reason in record.error, (how, record.error)
        assert len(record.output) < 5000
    for label in ("bad[how=well]", "bad[how=prints]", "lsh"):
        assert records[label].status == "ok", records[label].error
    assert records["bad[how=floods]"].output.endswith("x" * 100)
    assert descendants() == before
    again = cli(*arguments, "--timeout", 5, "--max-memory", 700)
    assert again.stderr.count("failed before") == len(ENDS)
    assert again.stderr.count("already in") == 3
    assert again.returncode == 1


def test_failed_cells_are_run_again_on_request(tmp_path, cli):
    file, switch = tmp_path / "moody.py", tmp_path / "switch"
    file.write_text(BAD.replace('raise ValueError("the reason")', f"open({str(switch)!r})"))
    arguments = ("run", "--plugin", file, "--methods", "moody[how=raises],lsh", "--bits", 8, "--out", tmp_path / "out")
    file.write_text(file.read_text().replace("class Bad", "class Moody"))
    assert cli(*arguments).returncode == 1
    switch.write_text("")
    assert cli(*arguments).returncode == 1
    done = cli(*arguments, "--retry-failed")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("already in") == 1


@pytest.mark.slow
def test_codes_do_not_depend_on_who_computes(tmp_path, cli):
    codes = []
    for number, how in enumerate((["--in-process"], ["--timeout", 100], ["--jobs", 2])):
        arguments = ("--methods", "itq,lsh,sph", "--bits", "8,16", "--seeds", "0,1", "--out", tmp_path / str(number))
        done = cli("run", *arguments, *how)
        assert done.returncode == 0, done.stderr
        codes.append({record.id: (record.codes_sha256, record.metrics) for record in Store(tmp_path / str(number))})
    assert len(codes[0]) == 12
    assert codes[0] == codes[1] == codes[2]


def double(number):
    return 2 * number


def refuse():
    raise InputError("this cannot be")


def stuck():
    time.sleep(600)


@pytest.mark.slow
def test_a_worker_is_replaced_when_it_is_needed():
    worker = Worker()
    try:
        assert worker.call(double, 4) == 8
        with pytest.raises(InputError, match="this cannot be"):
            worker.call(refuse)
        first = worker._process.pid
        with pytest.raises(WorkerDied, match=r"stopped after 0.2 s"):
            worker.call(stuck, timeout=0.2)
        assert not psutil.pid_exists(first)
        assert worker.call(double, 5) == 10
    finally:
        worker.close()


@pytest.mark.slow
def test_nothing_outlives_a_killed_run(bad, tmp_path):
    command = [sys.executable, "-m", "hashbench", "run", "--plugin", str(bad), "--methods", "bad[how=forks]"]
    run = subprocess.Popen([*command, "--bits", "8", "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and len(psutil.Process(run.pid).children(recursive=True)) < 3:
        time.sleep(0.1)
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) == 3  # the worker, the shell that watches it, and what the cell has started
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


PATIENT = """
import time
from hashbench import HashMethod


class Patient(HashMethod):
    '''Trains for a second, and says so ten times.'''

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X, *, log):
        for epoch in range(1, 11):
            time.sleep(0.1)
            log(epoch=epoch, loss=1 / epoch)
        return self

    def project(self, X):
        return X[:, : self.n_bits] - 0.5
"""


@pytest.fixture
def patient(tmp_path):
    """Return the arguments of a run whose cells take a second, and next to no processor."""
    file = tmp_path / "patient.py"
    file.write_text(PATIENT)
    return [sys.executable, "-m", "hashbench", "run", "--plugin", str(file), "--out", str(tmp_path / "out")]


@pytest.mark.slow
def test_ctrl_c_finishes_the_cell_in_flight(patient, tmp_path):
    out = tmp_path / "out"
    command = [*patient, "--methods", "patient", "--bits", "8,16,24,32,40,48"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if "epoch" in line:
            break
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "cells in flight are finished" in errors
    assert "hashbench: interrupted; nothing is half done" in errors
    records = list(Store(out))
    assert 1 <= len(records) < 6
    assert all(record.status == "ok" for record in records)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--timeout", "-1"], "--timeout -1.0: expected at least"),
        (["--jobs", "0"], "--jobs 0: expected at least 1"),
        (["--max-memory", "0"], "--max-memory"),
        (["--in-process", "--timeout", "5"], "need worker processes"),
    ],
)
def test_unusable_limits(arguments, word, tmp_path, cli):
    one_clear_line(cli("run", *arguments, "--out", tmp_path / "out"), word)
    assert not (tmp_path / "out" / "records").exists()


def test_a_data_set_that_crashes_is_one_clear_line(tmp_path, cli):
    file = tmp_path / "crash.py"
    file.write_text(
        "import os\nfrom hashbench import HashDataset, Protocol\n"
        "class Crash(HashDataset):\n"
        "    '''Crashes.'''\n"
        "    protocols = (Protocol('crash/1', 'by hand', 2, 8, 8, ('mAP@all',)),)\n"
        "    def read(self, options):\n"
        "        print('reading', flush=True); os.abort()\n"
    )
    arguments = ("--plugin", file, "--dataset", "crash", "--methods", "lsh", "--out", tmp_path / "out")
    done = cli("run", *arguments, "--timeout", 60)
    one_clear_line(done, "data cannot be read", "SIGABRT", "reading")


@pytest.mark.slow
def test_two_runs_on_one_directory_share_the_work(patient, tmp_path):
    command = [*patient, "--methods", "patient,sph,itq", "--bits", "8,16,24"]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    logs = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], logs
    computed = sum(log.count("(fit") for log in logs)
    assert computed == 9
    assert len(list(Store(tmp_path / "out"))) == 9
    names = [path.name for path in (tmp_path / "out" / "records").iterdir()]
    assert all(name.endswith((".json", ".npz")) and not name.startswith(".") for name in names)
    assert json.loads(next((tmp_path / "out" / "records").glob("*.json")).read_text())["status"] == "ok"


def faults_of_large_blocks():
    """Return the page faults of a hundred arrays of a megabyte, each filled after the one before was freed."""
    np.ones(2**17)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about an allocator that is not glibc's")
@pytest.mark.parametrize("threshold", [None, "65536"], ids=["default", "the user's own"])
def test_a_worker_keeps_its_memory(monkeypatch, threshold):
    for name in KEEP_MEMORY:
        monkeypatch.delenv(name, raising=False)
        if threshold is not None:
            monkeypatch.setenv(name, threshold)
    with closing(Worker()) as worker:
        n_faults = worker.call(faults_of_large_blocks)
    n_pages = 100 * 2**20 // resource.getpagesize()
    assert (n_faults > n_pages / 2) == (threshold is not None), (n_faults, n_pages)
