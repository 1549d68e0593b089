"""Which GPUs each worker process sees; neither torch nor CUDA is started for it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from itertools import takewhile

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
NVML = "libnvidia-ml.so.1"
"""NVIDIA's library of management, which comes with the driver."""


def visible_gpus() -> list[str]:
    """Return the GPUs that a process started here would see, by their names in CUDA_VISIBLE_DEVICES.

    Where that is set, these are its numbers, UUIDs or MIG devices; as for CUDA, the list ends before a number below 0.
    """
    given = os.environ.get(VISIBLE_GPUS)
    if given is None:
        return [str(number) for number in range(_n_installed())]
    names = (name.strip() for name in given.split(","))
    return list(takewhile(lambda name: name and not name.startswith("-"), names))


def _n_installed() -> int:
    """Return how many NVIDIA GPUs this machine, or container, has."""
    number = ctypes.c_uint(0)
    try:
        library = ctypes.CDLL(NVML)
        if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(number)):
            return 0
    except (OSError, AttributeError):
        return 0
    return number.value


def shared_out(gpus: Sequence[str], workers: int, devices: int) -> list[str | None]:
    """Return what each worker is to see of the GPUs: ``devices`` of them to each in turn.

    Where there are fewer than one worker needs, None, all that there are, so that it can say so.

    Parameters
    ----------
    gpus : sequence of str
    workers : int
    devices : int
        How many a cell uses at once.
    """
    starts = range(0, len(gpus) - devices + 1, devices)
    groups = [",".join(gpus[start : start + devices]) for start in starts]
    return [groups[number % len(groups)] if groups else None for number in range(workers)]
