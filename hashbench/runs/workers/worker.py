"""Runs functions in a worker process that nothing they do can take the run down with.

The process leads a group of its own, which is killed as a whole: after a time limit, over a memory limit, and when the
run ends. A crash ends the process alone, and the next call starts another. (Process pools of the standard library
and those like them import the caller's main module, kill one process and not what it has started, and know no memory
limit.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import psutil

from hashbench.errors import InputError
from hashbench.files.search_path import safe_environment
from hashbench.files.standard_streams import open_what_is_closed
from hashbench.progress import Watch, to_stderr
from hashbench.runs.gpu import BROKEN
from hashbench.runs.workers.gpus import VISIBLE_GPUS

POLL_S = 0.05
LOOK_EVERY_S = 0.2
"""Between two looks at the memory and the output of a worker."""
MOST_OUTPUT = 64 * 2**20
"""Bytes that a job may print."""
KEPT_OUTPUT = 4000
"""Bytes of its last output that are kept."""
Result = TypeVar("Result")
KEEP_MEMORY = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30))
"""glibc's thresholds: large blocks stay with the process. Otherwise they go back to the kernel after each layer of a
network, and the next layer gets them anew, zeroed page by page. Other C libraries do not read these variables."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerDied(Exception):
    """A job has taken its worker process with it, or had to be stopped.

    Attributes
    ----------
    output : str
        The last lines that it printed.
    """

    def __init__(self, reason: str, output: str) -> None:
        super().__init__(reason)
        self.output = output


class JobRaised(RuntimeError):
    """A job has raised what it should not; the message is the exception in one line, its traceback a note.

    Attributes
    ----------
    output : str
        The end of the traceback, for a record.
    """

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.add_note(trace)
        self.output = trace[-KEPT_OUTPUT:]


class Worker:
    """One worker process, started when it is needed and again after it has died.

    Parameters
    ----------
    threads : int, optional
        How many threads libraries may use in it; theirs to decide by default.
    log : callable
        Receives the lines that functions print for people; a `Watch` also what they are at.
    gpus : str, optional
        The GPUs that it sees, as CUDA_VISIBLE_DEVICES names them; those of this process by default.
    """

    def __init__(
        self, threads: int | None = None, log: Callable[[str], object] = to_stderr, gpus: str | None = None
    ) -> None:
        self._threads, self._gpus, self.watch = threads, gpus, log if isinstance(log, Watch) else Watch(log)
        self._aborted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: Connection
        self._is_ready = False
        self._asked = 0
        self._user, self._left = "", list[str]()
        self._lifeline = -1
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        flags = fcntl.fcntl(self._output, fcntl.F_GETFL)
        fcntl.fcntl(self._output, fcntl.F_SETFL, flags | os.O_APPEND)  # so that it can be emptied between jobs

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        if self._process is not None:
            return
        open_what_is_closed()
        self._requests, theirs = Pipe()
        read, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "hashbench.runs.workers.child", str(theirs.fileno()), str(read)]
        limits = {} if self._threads is None else dict.fromkeys(THREAD_VARIABLES, str(self._threads))
        limits |= {} if self._gpus is None else {VISIBLE_GPUS: self._gpus}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(), read),
            start_new_session=True,
            env={**KEEP_MEMORY, **safe_environment(), "PYTHONUNBUFFERED": "1", **limits},
        )
        theirs.close()
        os.close(read)

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        timeout: float | None = None,
        max_memory: float | None = None,
        user: str = "",
    ) -> Result:
        """Return ``function(*arguments)``, computed in the worker process.

        Where one user's code has left the process changed (`hashbench.guard.state`), the next user gets another. Where
        CUDA is broken in it, the next call does.

        Parameters
        ----------
        function : callable
            Of a module; it, its arguments and its result are pickled.
        *arguments
        timeout : float, optional
            Seconds that it may take, a worker's start not counted.
        max_memory : float, optional
            Bytes of memory that the worker and what it has started may hold.
        user : str
            For whom it is done, such as the method of a cell.

        Raises
        ------
        InputError
            ``function`` raised an InputError.
        WorkerDied
            The process died, or was killed because it exceeded a limit.
        JobRaised
            ``function`` raised any other exception.
        """
        if user != self._user and (self._left or self._has_ended()):
            self.close()
        self._user = user
        self.start()
        self._wait(None, max_memory, "ready")
        self._asked += 1
        try:
            self._requests.send((self._asked, function, arguments))
        except OSError as error:
            raise self._died() from error
        kind, (number, value, self._left) = self._wait(timeout, max_memory, "done", "refused", "broken")
        if number != self._asked:
            raise self._killed(f"its process answered request {number} in place of {self._asked}")
        if BROKEN in self._left:
            self.watch("  an error on the GPU has broken its process; the next cell gets a new one")
            self.close()
        if kind == "refused":
            raise InputError(value)
        if kind == "broken":
            raise JobRaised(*value)
        return value

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _wait(self, timeout: float | None, max_memory: float | None, *kinds: str) -> tuple[str, Any]:
        """Return the first message of some kinds, showing lines and progress until then, and minding the limits."""
        if kinds == ("ready",) and self._is_ready:
            return "ready", None
        assert self._process is not None
        end = None if timeout is None else time.monotonic() + timeout
        looked = time.monotonic()
        while True:
            try:
                message = self._requests.recv() if self._requests.poll(POLL_S) else None
            except (EOFError, OSError):
                raise self._died() from None
            if message is not None and message[0] in kinds:
                self._is_ready = True
                self.watch.clear()
                return message
            if message is not None:
                self._show(*message)
            now = time.monotonic()
            if end is not None and now > end:
                raise self._killed(f"it was stopped after {timeout:g} s (--timeout)")
            if now - looked >= LOOK_EVERY_S:
                looked = now
                self._mind(max_memory)

    def _show(self, kind: str, value: Any) -> None:
        if kind == "line":
            self.watch(value)
        elif kind == "once":
            self.watch.once(value)
        elif kind == "doing":
            self.watch.doing(*value)
        else:
            self.watch.count(*value)

    def _mind(self, max_memory: float | None) -> None:
        if max_memory is not None and self._memory() > max_memory:
            raise self._killed(f"it was stopped over {max_memory / 1e6:,.0f} MB of memory (--max-memory)")
        if os.fstat(self._output.fileno()).st_size > MOST_OUTPUT:
            raise self._killed(f"it was stopped after printing {MOST_OUTPUT / 2**20:.0f} MiB")

    def _memory(self) -> int:
        """Return the resident memory of the process and of what it has started, in bytes."""
        assert self._process is not None
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += one.memory_info().rss
        return total

    def _died(self) -> WorkerDied:
        """Return how the process ended by itself."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = 0
        if self._aborted:
            self.close()
            raise KeyboardInterrupt
        if code < 0:
            name = signal.Signals(-code).name
            reason = f"its process was ended by {name}"
            reason += ": out of memory?" if name == "SIGKILL" else ""
        else:
            reason = f"its process ended with exit code {code}"
        return self._killed(reason)

    def _killed(self, reason: str) -> WorkerDied:
        """Kill the process with all that it has started, and return the reason with its last output."""
        died = WorkerDied(reason, self.last_output())
        self.close()
        return died

    def last_output(self) -> str:
        """Return the last lines that the latest job printed."""
        size = os.fstat(self._output.fileno()).st_size
        tail = os.pread(self._output.fileno(), KEPT_OUTPUT, max(0, size - KEPT_OUTPUT))
        return tail.decode("utf-8", "backslashreplace").strip()

    def abort(self) -> None:
        """End a call that another thread waits for, which then raises KeyboardInterrupt there."""
        self._aborted = True
        self.kill()

    def kill(self) -> None:
        """Kill the process from another thread than the one that waits for it, whose call raises WorkerDied."""
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process with all that it has started."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    one.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._requests.close()
        os.close(self._lifeline)
        os.ftruncate(self._output.fileno(), 0)
        self.watch.clear()
        self._process, self._is_ready, self._left = None, False, []
