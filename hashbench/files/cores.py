"""How many processors this process may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def n_cores() -> int:
    """Return the number of processors that the machine, the process's affinity and a container's quota leave to it."""
    import joblib

    return joblib.cpu_count()


@contextmanager
def one_core() -> Iterator[None]:
    """Let compiled loops and libraries use one thread."""
    import numba
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        numba.set_num_threads(before)
