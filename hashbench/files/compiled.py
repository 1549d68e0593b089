"""Where numba keeps what it has compiled, for installations that it cannot write to."""

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


def give_numba_a_cache(folder: Path) -> None:
    """Make sure, before any kernel is declared, that numba finds a folder for what it compiles.

    By itself it takes the sources' own folder, or else the user's home, and gives up where both are read-only, as in
    a container. Then it gets a folder in hashbench's cache, or, where that cannot be written either, a temporary one
    that goes when the process ends.

    Parameters
    ----------
    folder : Path
        Where the kernels' sources lie.

    Raises
    ------
    InputError
        No folder at all can be written to.
    """
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
