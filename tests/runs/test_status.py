"""How far a run has got, asked from outside, and how long the rest will take."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import one_clear_line
from waiting import wait_until

from hashbench.records.store import Store
from hashbench.runs.status import read_status

SLOW = """
import time
from hashbench import HashMethod
class Slow(HashMethod):
    '''Takes its time.'''
    def __init__(self, n_bits=8, seconds: float = 0.0, how: str = "well"):
        self.n_bits = n_bits
        self.seconds = seconds
        self.how = how
    def fit(self, X, y=None):
        if self.how == "raises":
            raise ValueError("on purpose")
        time.sleep(self.seconds)
        return self
    def project(self, X):
        return X[:, : self.n_bits] - 0.5
"""


@pytest.fixture
def slow(tmp_path):
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    return file


def states(out):
    return {one.cell.title: one.state for one in read_status(out)}


@pytest.mark.slow
def test_every_state_while_a_run_goes_on(slow, tmp_path, cli):
    out = tmp_path / "out"
    methods = "slow,slow[how=raises],slow[seconds=600],slow[seconds=1]"
    command = [sys.executable, "-m", "hashbench", "run", "--plugin", str(slow), "--methods", methods, "--bits", "8"]
    run = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if "[3/4]" in line:
            break
    expected = {
        "slow 8 bits": "done",
        "slow[how=raises] 8 bits": "failed",
        "slow[seconds=600] 8 bits": "running",
        "slow[seconds=1] 8 bits": "missing",
    }
    assert states(out) == expected
    done = cli("status", out)
    assert done.returncode == 0
    assert "1 done, 1 failed, 1 running, 1 missing of 4 cells" in done.stdout
    assert "failed: slow[how=raises] 8 bits, digits/1: ValueError: on purpose" in done.stdout
    assert "running: slow[seconds=600] 8 bits, digits/1" in done.stdout
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: "running" not in states(out).values(), "the end of the killed run's worker")
    assert states(out) == {**expected, "slow[seconds=600] 8 bits": "missing"}


def test_what_earlier_runs_have_planned_stays(tmp_path, cli):
    cli("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    cli("run", "--methods", "itq[n_iter=2]", "--bits", "8,65", "--out", tmp_path)
    assert "3 done, 0 failed, 0 running, 0 missing of 3 cells" in cli("status", tmp_path).stdout
    (tmp_path / "jobs.json").write_text('{"jobs": [')
    assert "3 done" in cli("status", tmp_path).stdout
    for record in Store(tmp_path):
        if record.status == "skipped":
            (tmp_path / "records" / f"{record.id}.json").unlink()
    cli("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    assert len(json.loads((tmp_path / "jobs.json").read_text())["jobs"]) == 1


def test_asking_writes_nothing(tmp_path, cli):
    cli("run", "--methods", "lsh", "--bits", 8, "--out", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    cli("status", tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_directory_without_a_run(tmp_path, cli, name):
    one_clear_line(cli("status", tmp_path / name), str(tmp_path / name), "holds no run")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_estimates_the_time_from_earlier_cells(slow, tmp_path, cli):
    run = ("run", "--plugin", slow, "--out", tmp_path / "out", "--methods")
    assert "time: no estimate" in cli(*run, "slow[seconds=0.5]", "--bits", "8", "--dry-run").stdout
    assert cli(*run, "slow[seconds=0.5]", "--bits", "8").returncode == 0
    dry = cli(*run, "slow[seconds=0.5],lsh", "--bits", "8,16,24", "--dry-run")
    (line,) = [line for line in dry.stdout.splitlines() if line.startswith("time: ")]
    assert "for 2 cells, by earlier timings; no estimate for the other 3" in line
    assert 1 <= float(line.split()[2]) < 4
