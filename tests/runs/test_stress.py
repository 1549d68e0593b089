"""A run of two hundred cells, some of them wicked, killed again and again: nothing is lost, doubled, wrong or left."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from test_worker import BAD

from hashbench.records.store import Store
from hashbench.runs.status import read_status

pytestmark = pytest.mark.slow

TOY = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split
class Toy(HashDataset):
    '''Sixty vectors in three classes.'''
    protocols = (Protocol('toy/1', 'by hand', 10, 50, 50, ('mAP@all',)),)
    embedded = True
    def read(self, options):
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 3
        return Items(features=rng.random((60, 16), dtype=np.float32) + labels[:, None], labels=labels)
    def split(self, items, protocol):
        return Split(np.arange(50), np.arange(50, 60), np.arange(50))
"""
N_GOOD = 190
WICKED = ("raises", "leaves", "exits", "exits_5", "segfaults", "hangs", "forks", "grows", "floods")
METHODS = ("lsh", "bad[how=prints]", *(f"bad[how={how}]" for how in WICKED))
KILLS = 10
MARK = "HASHBENCH_STRESS_TEST"
"""An environment variable: whatever a run starts, and what that starts, inherits it."""


@pytest.fixture
def grid(tmp_path):
    """Return the arguments that all runs of the test have in common."""
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "bad.py").write_text(BAD)
    plugins = ("--plugin", str(tmp_path / "toy.py"), "--plugin", str(tmp_path / "bad.py"))
    return ("run", *plugins, "--dataset", "toy", "--bits", "8", "--seeds", ",".join(map(str, range(N_GOOD))))


class Runner:
    """Starts the same run again and again, its methods in another order each time."""

    def __init__(self, grid, out, mark):
        self.rng, self.mark = np.random.default_rng(0), mark
        self.grid = (*grid, "--timeout", "6", "--max-memory", "600", "--out", str(out))
        self.log = out.with_suffix(".log")

    def start(self, jobs):
        methods = ",".join(self.rng.permutation(METHODS))
        command = [sys.executable, "-m", "hashbench", *self.grid, "--methods", methods, "--jobs", str(jobs)]
        with self.log.open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, MARK: self.mark})

    def kill(self, run, soon):
        """Kill a run: soon after its start, or after its first cell's line."""
        end = time.monotonic() + 60
        while not soon and b"[" not in self.log.read_bytes() and run.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(self.rng.uniform(0.1, 1.0))
        run.send_signal(signal.SIGKILL)
        run.wait()

    def left_over(self):
        """Return the processes that any of the runs has started and that still live."""
        left = []
        for process in psutil.process_iter():
            try:
                left += [process] if process.environ().get(MARK) == self.mark else []
            except psutil.Error:  # it has ended meanwhile
                continue
        return left


def lives(process):
    """Return whether a process has not ended; a zombie has, and only its parent has yet to take note."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def results(out):
    return {record.id: (record.codes_sha256, record.metrics) for record in Store(out) if record.status == "ok"}


def test_two_hundred_cells_survive_ten_kills(grid, tmp_path, cli):
    quiet, out = tmp_path / "quiet", tmp_path / "out"
    assert cli(*grid, "--methods", "lsh", "--out", quiet).returncode == 0
    runner = Runner(grid, out, str(tmp_path))
    for number in range(KILLS):
        runner.kill(runner.start(jobs=1 + number % 2), soon=number % 3 == 0)
    assert runner.start(jobs=2).wait(300) == 1, runner.log.read_text()[-2000:]

    _, alive = psutil.wait_procs(runner.left_over(), timeout=10)
    assert not [process for process in alive if lives(process)]
    records = {record.id: record for record in Store(out)}
    failed = {record.label for record in records.values() if record.status == "failed"}
    assert failed == {f"bad[how={how}]" for how in WICKED}
    (prints,) = (id for id, record in records.items() if record.label == "bad[how=prints]")
    good, expected = results(out), results(quiet)
    assert len(expected) == N_GOOD
    assert good.pop(prints)
    assert good == expected

    states = [one.state for one in read_status(out)]
    assert (states.count("done"), states.count("failed"), len(states)) == (N_GOOD + 1, len(WICKED), 200)
    names = {path.name for path in (out / "records").iterdir()}
    assert names == {f"{id}.json" for id in records} | {f"{id}.npz" for id in (*good, prints)}
    assert not list(out.rglob(".*"))
    assert not list((out / "work").rglob("*"))
