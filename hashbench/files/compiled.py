"""Support for numba's compiled loops: a place for what is compiled, and a process that may run them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hashbench.errors import InputError
from hashbench.files.cache import cache_directory

VARIABLE = "NUMBA_CACHE_DIR"
DISABLED = "NUMBA_DISABLE_JIT"


def give_numba_a_cache(folder: Path) -> None:
    """Make sure, before any kernel is declared, that numba finds a folder for what it compiles.

    By itself it takes the sources' own folder, or else the user's home, and gives up where both are read-only, as in
    a container. Then it gets a folder in hashbench's cache, or, where that cannot be written either, a temporary one
    that goes when the process ends.

    Parameters
    ----------
    folder : Path
        The folder of the kernels' sources.

    Raises
    ------
    InputError
        No folder can be written to, or ``NUMBA_DISABLE_JIT`` is set.
    """
    if os.environ.get(DISABLED, "0") not in ("", "0"):
        raise InputError(f"{DISABLED} is set: hashbench's loops do not run without being compiled; unset it")
    if os.environ.get(VARIABLE) or _is_writable(folder / "__pycache__"):
        return
    try:
        directory = cache_directory(None) / "numba"
        directory.mkdir(exist_ok=True)
    except (InputError, OSError):
        directory = _temporary()
    os.environ[VARIABLE] = str(directory)
    if "numba" in sys.modules:  # which has read the variable by now
        sys.modules["numba"].config.CACHE_DIR = str(directory)


_lost: list[str] = []
"""Not empty in a process that was forked after its parent had started threads that do not survive it."""


def _note_fork() -> None:
    numba = sys.modules.get("numba")
    try:
        layer = "" if numba is None else numba.threading_layer()
    except (AttributeError, ValueError):  # it has started none, or is being imported
        return
    if layer == "omp":
        _lost.append(layer)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def refuse_forked() -> None:
    """Raise in a process whose compiled loops GNU OpenMP would end, since its parent has run some before the fork.

    Raises
    ------
    InputError
        The process was forked from one that has run compiled loops.
    """
    if _lost:
        raise InputError(
            "this process was forked from one that has run hashbench's compiled loops, whose threads do not survive "
            "that: start processes by multiprocessing.get_context('spawn'), or set NUMBA_THREADING_LAYER=workqueue"
        )


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary() -> Path:
    try:
        directory = tempfile.mkdtemp(prefix="hashbench-numba-")
    except OSError as error:
        raise InputError(
            f"no folder can be written to: name one by the environment variable {VARIABLE} or HASHBENCH_CACHE"
        ) from error
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)
