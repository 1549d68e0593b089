"""What a plugin's code leaves changed in its process is found out, and put back where that can be."""

import gc
import io
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import sklearn
import torch

from hashbench.guard.state import PARTS, changed, kept_state, state


def leave_the_directory(tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


def lower_a_limit(tmp_path):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))


LEFT = {
    "timers": lambda _: signal.alarm(1000),
    "signal handlers": lambda _: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "numpy's error state": lambda _: np.seterr(all="raise"),
    "torch's defaults": lambda _: torch.set_default_dtype(torch.float64),
    "scikit-learn's configuration": lambda _: sklearn.set_config(transform_output="pandas"),
    "numbers of threads": lambda _: torch.set_num_threads(torch.get_num_threads() + 1),
    "the working directory": leave_the_directory,
    "environment variables": lambda _: os.environ.update(OMP_NUM_THREADS="7", LEFT="1"),
    "warnings that are errors": lambda _: warnings.simplefilter("error"),
    "the recursion limit": lambda _: sys.setrecursionlimit(500),
    "garbage collection": lambda _: gc.disable(),
    "limits of resources": lower_a_limit,
    "the file mode mask": lambda _: os.umask(0o777),
    "the default timeout of sockets": lambda _: socket.setdefaulttimeout(1),
    "standard streams": lambda _: setattr(sys, "stdout", io.StringIO()),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_can_be_put_back_is(name, tmp_path):
    before = state()
    with kept_state():
        LEFT[name](tmp_path)
        found = changed(before)
    assert found == [name]
    assert changed(before) == []


@pytest.mark.parametrize(
    ("name", "call", "value"),
    [
        ("set_default_device", torch.set_default_device, "meta"),
        ("set_grad_enabled", torch.set_grad_enabled, False),
        ("use_deterministic_algorithms", torch.use_deterministic_algorithms, True),
        ("set_float32_matmul_precision", torch.set_float32_matmul_precision, "medium"),
        ("set_detect_anomaly", torch.autograd.set_detect_anomaly, True),
    ],
)
def test_all_of_torchs_defaults(name, call, value):
    before = state()
    with kept_state():
        call(value)
        assert changed(before) == ["torch's defaults"], name
    assert changed(before) == []


def test_random_numbers_go_on_where_they_were():
    draws = (random.random, np.random.rand, lambda: torch.rand(1).item())
    with kept_state():
        expected = [draw() for draw in draws]
    before = state()
    with kept_state():
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        assert changed(before) == []
    assert [draw() for draw in draws] == expected


def test_a_timer_of_somebody_elses_goes_on():
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
    try:
        with kept_state():
            signal.setitimer(signal.ITIMER_PROF, 1000)
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
        assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def test_what_cannot_be_put_back_is_found():
    before, ending = state(), threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    process = subprocess.Popen(["sleep", "100"])
    sys.path.append("/somewhere")
    try:
        assert changed(before) == ["the module search path", "running threads", "running processes"]
    finally:
        ending.set()
        thread.join()
        process.kill()
        process.wait()
        sys.path.remove("/somewhere")
    assert changed(before) == []


def test_every_part_can_be_compared():
    before = state()
    assert len(before) == len(PARTS)
    assert changed(before) == []


@pytest.mark.slow
def test_an_unused_torch_is_no_change():
    code = (
        "from hashbench.guard.state import changed, kept_state, state\n"
        "before = state()\n"
        "with kept_state():\n"
        "    import torch\n"
        "    assert changed(before) == [], changed(before)\n"
        "    torch.set_default_dtype(torch.float64)\n"
        "assert torch.get_default_dtype() == torch.float32\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
