"""A worker process: computes what its parent sends, and ends with its parent, whatever happens to that."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from hashbench.errors import InputError
from hashbench.guard.plugin_code import failure_of
from hashbench.guard.state import left_behind, state
from hashbench.progress import send_to
from hashbench.runs.gpu import left_on_gpus
from hashbench.runs.tasks import warm_up


def main() -> None:
    """Serve a parent whose two pipes' numbers are on the command line: requests, and one that ends when it does."""
    requests, lifeline = Connection(int(sys.argv[1])), int(sys.argv[2])
    _end_with_parent(lifeline)
    lock, process = threading.Lock(), os.getpid()

    def send(kind: str, value: Any) -> None:
        if os.getpid() == process:  # and no process that a plugin has forked
            with lock:
                requests.send((kind, value))

    send_to(send)
    ready = _answered(warm_up, ())
    before = state()
    send("ready", os.getpid())
    while True:
        try:
            number, function, arguments = requests.recv()
        except EOFError:
            return
        _forget_output()
        kind, value = _answered(function, arguments) if ready[0] == "done" else ready
        if os.getpid() != process:
            os._exit(0)
        send(kind, (number, value, left_behind(before) + left_on_gpus()))


def _answered(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[str, Any]:
    """Return how a request ends, and what it gives."""
    try:
        return "done", function(*arguments)
    except InputError as error:
        return "refused", str(error)
    except BaseException as error:
        return "broken", (failure_of(error), traceback.format_exc())


def _end_with_parent(lifeline: int) -> None:
    """Make sure that neither this process nor what it has started outlives the parent, however that ends.

    A shell waits until the parent's end of the pipe is closed and then kills its group: nothing that happens in this
    process, and be it stuck in compiled code, can hold it up.
    """
    subprocess.Popen(["sh", "-c", "read line; kill -KILL 0"], stdin=lifeline)
    os.close(lifeline)


def _forget_output() -> None:
    """Begin a job with an empty file of output."""
    with contextlib.suppress(OSError, ValueError):  # a plugin may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
        os.ftruncate(1, 0)


if __name__ == "__main__":
    main()
