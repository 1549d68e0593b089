"""What a plugin's code does to its process is no other cell's: forks, changed state, a process that is ended."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from hashbench.errors import InputError
from hashbench.guard.state import note_users_code
from hashbench.progress import Watch
from hashbench.records.store import Store
from hashbench.runs.requested.options import RunOptions
from hashbench.runs.run import run
from hashbench.runs.workers import child
from hashbench.runs.workers.worker import Worker, WorkerDied

PLUGIN = """
import os, sys
import numpy as np
from hashbench import HashMethod
{imported}

class Method(HashMethod):
    '''Does something to its process.'''

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X):
        {fitted}
        return self

    def project(self, X):
        return X[:, : self.n_bits] - 0.5
"""


def plugin(folder, name, imported="", fitted="pass"):
    (folder / f"{name}.py").write_text(PLUGIN.format(imported=imported, fitted=fitted))
    return ("--plugin", folder / f"{name}.py")


@pytest.mark.slow
def test_what_plugins_do_to_their_process_is_no_other_cells(tmp_path, cli):
    bad = {
        "forks": {"fitted": "os.fork()"},
        "raises": {"fitted": "np.seterr(all='raise')"},
        "at_import": {"imported": "np.seterr(all='raise'); os.environ['MARK'] = '1'"},
        "closes": {"fitted": "sys.stdout.close(); sys.stderr.close(); os.close(1)"},
    }
    named = [part for name, what in bad.items() for part in plugin(tmp_path, name, **what)]
    checks = "sys.stderr.flush(); assert 'MARK' not in os.environ and os.fstat(1) and np.geterr()['over'] == 'warn'"
    named += plugin(tmp_path, "looks", imported=checks, fitted=checks)
    methods = "forks,looks,raises,itq,at_import,sh,closes,lsh"
    done = cli("run", *named, "--methods", methods, "--bits", 8, "--jobs", 1, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    records = {record.label: record for record in Store(tmp_path / "out")}
    assert set(records) == set(methods.split(","))
    for label, record in records.items():
        assert record.status == "ok", (label, record.error)
        assert record.config["method"] == label
        assert label in done.stdout


def change(how):
    note_users_code("mine")
    if how == "search path":
        sys.path.append("/somewhere")
    elif how == "ended":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def own_number():
    return os.getpid()


@pytest.mark.slow
def test_a_changed_process_is_another_users_no_more():
    worker = Worker()
    try:
        first = worker.call(own_number, user="a")
        assert worker.call(own_number, user="b") == first
        assert worker.call(change, "nothing", user="a") == first
        assert worker.call(own_number, user="b") == first
        assert worker.call(change, "search path", user="a") == first
        assert worker.call(own_number, user="a") == first
        second = worker.call(own_number, user="b")
        assert second != first
        with pytest.raises(WorkerDied, match="SIGKILL"):
            worker.call(change, "ended", user="b")
    finally:
        worker.close()


def answer_twice():
    """Send a reply that nobody has asked for, as a process would that has been forked within a request."""
    send = child.send_to.__globals__["_send"]
    send("done", (0, np.pi, []))
    return 1


@pytest.mark.slow
def test_a_reply_to_another_request_is_refused():
    worker = Worker()
    try:
        with pytest.raises(WorkerDied, match="answered request 0 in place of 1"):
            worker.call(answer_twice)
        assert worker.call(own_number)
    finally:
        worker.close()


@pytest.mark.slow
def test_a_plan_that_fails_shows_one_line_and_the_traceback_in_full(tmp_path):
    (tmp_path / "odd.py").write_text(
        "from hashbench import HashDataset\n"
        "class Odd(HashDataset):\n"
        "    '''Has protocols that nobody can read.'''\n"
        "    @property\n"
        "    def protocols(self):\n"
        "        raise ValueError('first line\\nsecond line')\n"
    )
    command = [sys.executable, "-m", "hashbench", "run", "--plugin", tmp_path / "odd.py", "--dataset", "odd"]
    done = subprocess.run([*command, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "hashbench: unexpected ValueError: first line second line"
    assert lines[1] == "Traceback (most recent call last):"
    assert "in protocols" in done.stderr
    assert lines[-1] == "second line"


@pytest.mark.slow
def test_no_more_workers_than_cells(tmp_path, monkeypatch):
    started = []
    start = Worker.start

    def counted(worker):
        started.append(worker)
        start(worker)

    monkeypatch.setattr(Worker, "start", counted)
    lines = []
    options = RunOptions(methods="sign,lsh", bits="8", jobs=5, out=tmp_path / "out")
    assert [record.status for record in run(options, Watch(lines.append))] == ["ok", "ok"]
    assert len({id(worker) for worker in started}) <= 2
    assert lines.count("up to 2 cells at once: their processes start now") == 1
    started.clear()
    run(options, Watch(lines.append))
    assert len({id(worker) for worker in started}) == 1


def test_a_record_that_is_gone_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "write", lambda *_: None)
    with pytest.raises(InputError, match=r"records are gone, 1 in all, such as that of \[1/1\] sign"):
        run(RunOptions(methods="sign", bits="8", in_process=True, out=tmp_path / "out"))
