"""Where processes look for modules: never, by chance, in the working directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Where hashbench itself is found."""


def safe_environment() -> dict[str, str]:
    """Return the environment for a Python process that is to find the modules that this one finds.

    With ``-m`` and ``-c``, Python looks through the working directory before the installed packages: a file there, be
    it a download, would be executed in place of a library. ``PYTHONSAFEPATH`` forbids that to the process and to all
    that it starts.
    """
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(dict.fromkeys(_folders()))}


def leave_working_directory() -> None:
    """Take the working directory out of this process's search path, where ``python -m hashbench`` has put it."""
    if not sys.flags.safe_path and sys.path and Path(sys.path[0]).resolve() != ROOT:
        del sys.path[0]


def _folders() -> Iterator[str]:
    """Yield the folders that this process looks through, without the working directory unless the user named it.

    ``PYTHONPATH`` names it, and so does a script in it; for the script it comes last and replaces nothing.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it is gone
        here = Path()
    named = {Path(folder).resolve() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    for folder in filter(None, sys.path):
        path = Path(folder).absolute()
        if path.resolve() != here or here in named:
            yield str(path)
    if _script_folder() == here:
        yield str(here)
    yield str(ROOT)


def _script_folder() -> Path | None:
    """Return the folder of the script that Python was started with, if it was started with one."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    return None if file is None or getattr(main, "__spec__", None) else Path(file).resolve().parent
