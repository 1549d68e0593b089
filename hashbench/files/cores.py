"""How many processors this process may use."""

from __future__ import annotations


def n_cores() -> int:
    """Return the number of processors that the machine, the process's affinity and a container's quota leave to it."""
    import joblib

    return joblib.cpu_count()
