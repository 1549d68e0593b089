"""Tuning in worker processes: killed and resumed, two cells at once, and what the command imports."""

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from tuned_plugins import PLANTED

from hashbench.records.store import Store

ARGUMENTS = ("--methods", "planted,lsh", "--bits", "16", "--trials", "10", "--seeds", "0,1")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    file = tmp_path_factory.mktemp("plugin") / "planted.py"
    file.write_text(PLANTED)
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cli, planted):
    """Return the directory of a tuning that nothing has interrupted."""
    out = tmp_path_factory.mktemp("whole")
    done = cli("tune", *ARGUMENTS, "--plugin", planted, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def start(out, planted, cache_dir, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "hashbench", "tune", *ARGUMENTS, "--plugin", planted, "--out", out, *more],
        env={**os.environ, "HASHBENCH_CACHE": str(cache_dir)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def is_equal(one, other):
    """Assert that two tunings had the same trials, chose the same and have the same final records."""
    trials = [pd.read_csv(out / "trials.csv").drop(columns="seconds") for out in (one, other)]
    pd.testing.assert_frame_equal(*trials)
    chosen = [pd.read_csv(out / "tuned.csv").drop(columns="seconds") for out in (one, other)]
    pd.testing.assert_frame_equal(*chosen)
    records = [{record.id: (record.status, record.metrics) for record in Store(out)} for out in (one, other)]
    assert records[0] == records[1]


@pytest.mark.slow
def test_a_killed_tuning_goes_on_to_the_same_choice(tmp_path, whole, planted, cache_dir):
    process = start(tmp_path, planted, cache_dir)
    for line in process.stderr:
        if line.startswith("[2/4]") and ": mAP" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    n_kept = len(list(Store(tmp_path / "trials")))
    assert 0 < n_kept < 11
    again = start(tmp_path, planted, cache_dir, "--jobs", "2")
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert said.count(f"already in {tmp_path / 'trials'}") == n_kept
    is_equal(tmp_path, whole)


def test_the_command_line_imports_the_search_only_when_it_tunes():
    code = (
        "import sys, hashbench.cli.main; "
        "print({'optuna', 'pandas', 'torch', 'hashbench.runs.run', 'hashbench.tuning.study'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
