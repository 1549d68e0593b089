"""Preparation that is killed, waits for another process, or cannot write."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import one_clear_line
from disk_limits import files_of_at_most
from toy_images import load_toy
from waiting import wait_until

from hashbench.data.prepared.entries import choose_entries, entries


def start(toy, tmp_path, **environment):
    command = [sys.executable, "-m", "hashbench", "data", "prepare", "toy", "--from", str(toy[1])]
    command += ["--plugin", str(toy[0]), "--cache-dir", str(tmp_path / "cache")]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_preparation_leaves_nothing_that_is_taken_for_whole(toy, tmp_path):
    process = start(toy, tmp_path, TOY_GATE=str(tmp_path / "never"))
    datasets = tmp_path / "cache" / "datasets"
    wait_until(lambda: list(datasets.glob(".toy-*/data.bin")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert entries(tmp_path / "cache") == []
    (partial,) = datasets.glob(".toy-*")
    (datasets / ".toy-other-0123456789ab").mkdir()  # another data set's
    assert len(load_toy(toy, tmp_path, data_dir=toy[1])) == 12
    assert not partial.exists()
    assert (datasets / ".toy-other-0123456789ab").exists()
    choose_entries(tmp_path / "cache", "toy")[0].verify()


@pytest.mark.slow
def test_a_second_process_waits_and_uses_what_the_first_made(toy, tmp_path):
    reads, gate = tmp_path / "reads", tmp_path / "gate"
    first = start(toy, tmp_path, TOY_GATE=str(gate), TOY_READS=str(reads))
    wait_until(lambda: list((tmp_path / "cache" / "datasets").glob(".toy-*/data.bin")))
    second = start(toy, tmp_path, TOY_READS=str(reads))
    assert "waiting for another process" in second.stderr.readline()
    gate.touch()
    for process in (first, second):
        process.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert reads.read_text() == "read\n"
    assert len(entries(tmp_path / "cache")) == 1


def test_a_full_disk_is_one_clear_line(toy, tmp_path, data_command):
    with files_of_at_most(10_000):
        done = data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    one_clear_line(done, str(tmp_path / "cache"), "cannot be written", "--cache-dir")
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == ["toy.lock"]


def test_an_unwritable_cache_is_one_clear_line(toy, tmp_path, cli):
    (tmp_path / "file").write_text("no folder")
    done = cli("data", "prepare", "toy", "--from", toy[1], "--plugin", toy[0], "--cache-dir", tmp_path / "file")
    one_clear_line(done, "--cache-dir", "cannot be written to")
