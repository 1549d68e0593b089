"""Finds what a plugin's code leaves changed in its process, before the guards of loading are at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hashbench.guard.state import changed, kept_state, state

GENERATOR = "numpy's global random state"


class Watch:
    """Notes what code leaves changed, and puts it back where that can be.

    Attributes
    ----------
    changed : dict from str to list of str
        By what was done, the parts of the process that it left changed; see `hashbench.guard.state`.
    """

    def __init__(self) -> None:
        self.changed: dict[str, list[str]] = {}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Watch what is done meanwhile."""
        before, generator = state(), _generator()
        with kept_state():
            yield
            moved = [GENERATOR] if _generator() != generator else []
            known = self.changed.setdefault(what, [])
            known += [part for part in changed(before) + moved if part not in known]


def _generator() -> str:
    return str(np.random.get_state())  # noqa: NPY002 (the legacy state is what is looked at)
