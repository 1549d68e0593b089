"""The live display of a run, on a terminal of fixed width that is recorded, and on a real one."""

import io
import os
import pty
import re
import select
import signal
import sys
import termios
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from rich.console import Console

from hashbench.reports import live
from hashbench.reports.live import LiveWatch

SLEEPS = """
import time
from hashbench import HashMethod
class Sleeps(HashMethod):
    '''Never ends.'''
    def __init__(self, n_bits=8):
        self.n_bits = n_bits
    def fit(self, X, y=None):
        time.sleep(600)
"""


@pytest.fixture
def watch():
    return LiveWatch(Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None))


def shown(watch):
    """Return the lines of the display as it is now."""
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(watch.render())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_run_from_plan_to_end(watch, monkeypatch):
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    watch.count("features of digits", 300, 1000)
    assert shown(watch)[0].startswith("  features of digits: 300/1,000  ")
    watch.count("features of digits", 400, 1000)
    assert shown(watch)[0].startswith("  features of digits: 400/1,000, ")
    assert "/s, " in shown(watch)[0]
    assert " s left" in shown(watch)[0]
    watch.clear()
    assert shown(watch) == ["planning"]
    watch.planned(4)
    watch.settled("[1/4] lsh: already in out", failed=False)
    watch.started("[2/4] cibhash 16 bits seed 0")
    watch.doing("  epoch 3/20  loss 0.1234", logged=True)
    row, summary = shown(watch)
    assert row.startswith("[2/4] cibhash 16 bits seed 0  epoch 3/20  loss 0.1234 ")
    assert summary.endswith("1 of 4 cells")
    watch.ended("[2/4] cibhash 16 bits seed 0", "mAP@all 0.5", failed=False)
    (summary,) = shown(watch)
    assert "2 of 4 cells" in summary
    assert summary.endswith(" left")
    watch.started("[3/4] itq")
    watch.ended("[3/4] itq", "failed: out of luck", failed=True)
    watch.started("[4/4] sph")
    watch.ended("[4/4] sph", "mAP@all 0.6", failed=False)
    (summary,) = shown(watch)
    assert summary.endswith("4 of 4 cells  1 failed")


def test_only_failures_and_notes_stay_on_the_terminal(watch):
    with watch:
        watch.planned(3)
        watch.settled("[1/3] lsh: already in out", failed=False)
        watch.started("[2/3] itq[n_iter=5]")
        watch("a record is moved aside")
        watch.ended("[2/3] itq[n_iter=5]", "failed: out of luck", failed=True)
        watch.started("[3/3] sph")
        watch.ended("[3/3] sph", "mAP@all 0.6", failed=False)
    recorded = watch._console.file.getvalue()
    lines = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", recorded).splitlines()
    stays = [line for line in lines if "luck" in line or "aside" in line]
    assert stays == ["a record is moved aside", "[2/3] itq[n_iter=5]: failed: out of luck"]
    assert "already in" not in recorded
    assert "mAP@all" not in recorded
    assert recorded.rfind("\x1b[?25h") > recorded.rfind("\x1b[?25l")


def test_each_worker_has_a_row_and_many_share_one(watch):
    watch.planned(20)
    barrier = threading.Barrier(live.MOST_ROWS + 3)

    def work(number):
        watch.started(f"cell {number}")
        watch.doing(f"phase {number}", logged=False)
        barrier.wait()
        barrier.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(live.MOST_ROWS + 2)]
    for thread in threads:
        thread.start()
    barrier.wait()
    lines = shown(watch)
    barrier.wait()
    assert len(lines) == live.MOST_ROWS + 2
    for line in lines[:-2]:
        assert line.split()[1] == line.split()[3]
    assert lines[-2] == "and 2 more"


@pytest.mark.slow
def test_ctrl_c_twice_ends_at_once_and_leaves_the_terminal_as_it_was(tmp_path):
    file = tmp_path / "sleeps.py"
    file.write_text(SLEEPS)
    arguments = ["run", "--plugin", str(file), "--methods", "sleeps", "--bits", "8,16", "--jobs", "2"]
    command = [sys.executable, "-m", "hashbench", *arguments, "--out", str(tmp_path / "out")]
    with on_terminal(command) as (child, terminal):
        before = termios.tcgetattr(terminal)
        output = read_until(terminal, b"", b"[2/2] sleeps")
        os.write(terminal, b"\x03")
        output = read_until(terminal, output, b"cells in flight are finished")
        os.write(terminal, b"\x03")
        output = read_until(terminal, output, b"interrupted; nothing is half done")
        after = termios.tcgetattr(terminal)
        assert exit_code(child) == 130
    assert after == before
    assert output.rfind(b"\x1b[?25h") > output.rfind(b"\x1b[?25l")
    assert not list((tmp_path / "out" / "records").iterdir())


def test_a_program_that_shows_nothing_more_fails_its_test_and_is_killed():
    with pytest.raises(AssertionError), on_terminal(["/bin/sleep", "600"]) as (child, terminal):
        read_until(terminal, b"", b"never shown", seconds=0.1)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


@contextmanager
def on_terminal(command):
    """Run a program on a terminal of its own; it is killed where the test fails, for it may sleep for minutes."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, {**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    try:
        yield child, terminal
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    finally:
        os.close(terminal)


def read_until(terminal, output, words, seconds=60):
    """Return all that a terminal has shown, when the words are among it."""
    end = time.monotonic() + seconds
    while words not in output and select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        output += os.read(terminal, 65536)
    assert words in output, output
    return output


def exit_code(child, seconds=60):
    """Return the exit code of a program that is about to end."""
    end = time.monotonic() + seconds
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < end:
        time.sleep(0.02)
        ended, status = os.waitpid(child, os.WNOHANG)
    assert ended, "it goes on"
    return os.waitstatus_to_exitcode(status)
