"""How many processors this process may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

OMP = "OMP_NUM_THREADS"


def n_cores() -> int:
    """Return the number of processors that the machine, the process's affinity and a container's quota leave to it."""
    import joblib

    return joblib.cpu_count()


@contextmanager
def one_core() -> Iterator[None]:
    """Let compiled loops and libraries use one thread, also those that are imported meanwhile."""
    import numba
    from threadpoolctl import threadpool_limits

    torch, variable = sys.modules.get("torch"), os.environ.get(OMP)
    torch_before = torch.get_num_threads() if torch else 0
    before = numba.get_num_threads()  # after torch's: numba may change what they share
    numba.set_num_threads(1)
    os.environ[OMP] = "1"
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        numba.set_num_threads(before)
        os.environ.pop(OMP)
        if variable is not None:
            os.environ[OMP] = variable
        if torch:
            torch.set_num_threads(torch_before)


def steady_threads(portable: bool) -> AbstractContextManager[None]:
    """Return a context with one thread for what is not the same with any number of them.

    So neither ``--jobs`` nor OMP_NUM_THREADS changes a result.
    """
    return nullcontext() if portable else one_core()
