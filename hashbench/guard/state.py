"""Process-wide state that a plugin's code may leave changed: detected, and restored where possible."""

from __future__ import annotations

import contextlib
import gc
import locale
import multiprocessing
import operator
import os
import pickle
import random
import resource
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

TORCH_AT_FIRST = ("torch.float32", "cpu", True, False, "highest", False, False, False)
"""What `_torch` gives of an unchanged torch."""
OF_LIBRARIES = {"PYTORCH_NVML_BASED_CUDA_CHECK", "TORCHINDUCTOR_CACHE_DIR", "NUMBA_CACHE_DIR", "KMP_INIT_AT_FORK"}
"""Environment variables that libraries set when they are imported."""
LIMITS = tuple(sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")))
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
RANDOM = "random numbers"
_users_code: list[str] = []
"""Names of the plugins that this process has run and that are not the project's."""


@dataclass(frozen=True)
class Part:
    """A part of a process's state.

    Attributes
    ----------
    name : str
        For messages.
    get : callable
    put : callable or None
        Puts back what ``get`` gave, where that can be.
    differs : callable
        ``differs(before, now)``.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object] | None = None
    differs: Callable[[Any, Any], bool] = operator.ne


def state() -> dict[str, Any]:
    """Return the state of this process, by the names of its parts."""
    return {part.name: part.get() for part in PARTS}


def changed(before: Mapping[str, Any]) -> list[str]:
    """Return the names of the parts that are not as they were; random numbers do not count."""
    return [part.name for part in PARTS if part.name != RANDOM and part.differs(before[part.name], part.get())]


def left_behind(before: Mapping[str, Any]) -> list[str]:
    """Return what `changed` does, if other code than the project's has run: that is known to leave nothing."""
    return changed(before) if _users_code else []


def note_users_code(name: str) -> None:
    """Note that this process runs a plugin that is not the project's."""
    _users_code.append(name)


@contextmanager
def kept_state() -> Iterator[None]:
    """Put back what changes meanwhile, where that can be."""
    before = [(part.get, part.put, part.get()) for part in PARTS if part.put is not None]
    try:
        yield
    finally:
        for get, put, value in before:
            if get() != value:
                with contextlib.suppress(OSError, ValueError):
                    put(value)


def _torch() -> tuple[Any, ...]:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_device"):  # the second while it is being imported
        return TORCH_AT_FIRST
    return (
        str(torch.get_default_dtype()),
        str(torch.get_default_device()),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.is_anomaly_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


def _put_torch(before: tuple[Any, ...]) -> None:
    """Put back torch's defaults; who has entered a mode and not left it keeps it."""
    torch = sys.modules["torch"]
    dtype, device, grad, deterministic, precision, anomaly, *_ = before
    torch.set_default_dtype(getattr(torch, dtype.removeprefix("torch.")))
    if str(torch.get_default_device()) != device:
        torch.set_default_device(None if device == "cpu" else device)  # None is the CPU, and costs nothing
    torch.set_grad_enabled(grad)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(precision)
    torch.autograd.set_detect_anomaly(anomaly)


def _threads() -> tuple[int | None, ...]:
    """Return how many threads torch and numba take; None of what is not imported."""
    return tuple(_asked(name, "get_num_threads") for name in ("torch", "numba"))


def _asked(library: str, function: str) -> Any:
    """Return what a library's function gives, or None where the library is not imported, or not wholly."""
    found = getattr(sys.modules.get(library), function, None)
    return None if found is None else found()


def _other_threads(before: tuple[int | None, ...], now: tuple[int | None, ...]) -> bool:
    return any(one is not None and one != other for one, other in zip(before, now, strict=True))


def _put_threads(before: tuple[int | None, ...]) -> None:
    for name, number in zip(("torch", "numba"), before, strict=True):
        if number is not None:
            sys.modules[name].set_num_threads(number)


def _random() -> tuple[Any, ...]:
    of_torch = _asked("torch", "get_rng_state")
    of_torch = None if of_torch is None else of_torch.numpy().tobytes()
    return random.getstate(), pickle.dumps(np.random.get_state()), of_torch  # noqa: NPY002 (the one that all share)


def _put_random(before: tuple[Any, ...]) -> None:
    random.setstate(before[0])
    np.random.set_state(pickle.loads(before[1]))  # noqa: NPY002
    if before[2] is not None:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.frombuffer(bytearray(before[2]), dtype=torch.uint8))


def _put_sklearn(before: dict[str, Any] | None) -> None:
    if before is not None:
        sys.modules["sklearn"].set_config(**before)


def _timers() -> tuple[bool, ...]:
    return tuple(signal.getitimer(which)[0] > 0 for which in TIMERS)


def _put_timers(before: tuple[bool, ...]) -> None:
    for which, ran in zip(TIMERS, before, strict=True):
        if not ran:
            signal.setitimer(which, 0)


def _handlers() -> dict[int, Any]:
    return {int(number): signal.getsignal(number) for number in signal.valid_signals()}


def _put_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def _umask() -> str:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith("Umask")), "")


def _errors() -> list[Any]:
    return [one for one in warnings.filters if one[0] == "error"]


def _put_errors(before: list[Any]) -> None:
    filters = cast("list[Any]", warnings.filters)
    others = [one for one in filters if one[0] != "error" or one in before]
    filters[:] = [*(one for one in before if one not in others), *others]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OF_LIBRARIES}


def _put_environment(before: dict[str, str]) -> None:
    for name in _environment().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _put_limits(before: tuple[tuple[int, int], ...]) -> None:
    for which, limits in zip(LIMITS, before, strict=True):
        resource.setrlimit(which, limits)


def _put_streams(before: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = before


def _open_streams() -> tuple[Any, ...]:
    """Return whether each standard stream is open, and which file is behind it."""
    files = []
    for number in range(3):
        with contextlib.suppress(OSError):
            status = os.fstat(number)
            files.append((number, status.st_dev, status.st_ino))
    return *(getattr(one, "closed", True) for one in (sys.stdin, sys.stdout, sys.stderr)), *files


def _has_more(before: set[Any], now: set[Any]) -> bool:
    return bool(now - before)


def _processes() -> set[int]:
    """Return the numbers of the processes that this one has started, and that still run."""
    import psutil

    running = set[int]()
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                running |= {one.pid} if one.status() != psutil.STATUS_ZOMBIE else set()
    return running


PARTS = (
    Part("timers", _timers, _put_timers),
    Part("signal handlers", _handlers, _put_handlers),
    Part("numpy's error state", np.geterr, lambda before: np.seterr(**before)),
    Part("torch's defaults", _torch, _put_torch),
    Part("scikit-learn's configuration", lambda: _asked("sklearn", "get_config"), _put_sklearn),
    Part("numbers of threads", _threads, _put_threads, _other_threads),
    Part(RANDOM, _random, _put_random),
    Part("the working directory", _directory, os.chdir),
    Part("environment variables", _environment, _put_environment),
    Part("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)),
    Part("warnings that are errors", _errors, _put_errors),
    Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Part("garbage collection", gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    Part("limits of resources", lambda: tuple(map(resource.getrlimit, LIMITS)), _put_limits),
    Part("the file mode mask", _umask, lambda before: os.umask(int(before, 8))),
    Part("the default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    Part(
        "how processes are started",
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda before: multiprocessing.set_start_method(before, force=True),
    ),
    Part("standard streams", lambda: (sys.stdin, sys.stdout, sys.stderr), _put_streams),
    Part("closed standard streams", _open_streams),
    Part("the module search path", lambda: tuple(sys.path)),
    Part("the priority", lambda: os.getpriority(os.PRIO_PROCESS, 0)),
    Part("running threads", lambda: {*threading.enumerate()}, differs=_has_more),
    Part("running processes", _processes, differs=_has_more),
)
