"""A worker process: computes what its parent sends, and ends with its parent, whatever happens to that."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from hashbench.errors import InputError
from hashbench.progress import send_to

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve a parent whose two pipes' numbers are on the command line: requests, and one that ends when it does."""
    requests, lifeline = Connection(int(sys.argv[1])), int(sys.argv[2])
    _end_with_parent(lifeline)
    lock = threading.Lock()

    def send(kind: str, value: Any) -> None:
        with lock:
            requests.send((kind, value))

    send_to(send)
    send("ready", os.getpid())
    while True:
        try:
            function, arguments = requests.recv()
        except EOFError:
            return
        _forget_output()
        try:
            send("done", function(*arguments))
        except InputError as error:
            send("refused", str(error))
        except BaseException:
            send("broken", traceback.format_exc())


def _end_with_parent(lifeline: int) -> None:
    """Make sure that neither this process nor what it has started outlives the parent, however that ends."""
    with contextlib.suppress(OSError, AttributeError):  # Linux; elsewhere the pipe alone has to do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        os.read(lifeline, 1)  # returns when the parent's end is closed
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _forget_output() -> None:
    """Begin a job with an empty file of output."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError):
        os.ftruncate(1, 0)


if __name__ == "__main__":
    main()
