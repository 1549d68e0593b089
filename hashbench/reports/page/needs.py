"""What the report needs beside hashbench itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hashbench.errors import InputError


def need(module: str) -> Any:
    """Return a module of the extra ``report``.

    Raises
    ------
    InputError
        The module is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"hashbench report needs {module.replace('_', '-')}, which is not here ({error}); install it with: "
            "pip install 'hashbench[report]'"
        ) from error
