"""Batches that fit into a device's memory: halved until they do, and what fits is remembered."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

from hashbench.errors import describe_error

NEEDED = re.compile(r"Tried to allocate ([0-9.]+ [A-Za-z]+)")
LIBRARIES = (
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
"""How CUDA's libraries say that a device's memory is short."""

_fitting: dict[str, int] = {}
"""By what is done to images, how many at once have fitted in this process."""


class DoesNotFit(RuntimeError):
    """Not even one image fits into the device's memory."""


def in_parts(what: str, n: int, work: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Return what ``work`` makes of n rows, all at once or, where these do not fit into memory, in parts.

    Memory of the host is not meant: a CPU keeps to its batches, whose size decides last bits.

    Parameters
    ----------
    what : str
        What is done, in words; parts that have fitted are remembered for it in this process.
    n : int
    work : callable
        Gets a slice of the rows and returns an array with a row for each.

    Raises
    ------
    DoesNotFit
        One row alone does not fit; the message says what it needed.
    """
    size, done = min(n, _fitting.get(what, n)), 0
    blocks: list[np.ndarray] = []
    while done < n:
        shortage = ""
        try:
            blocks.append(work(slice(done, min(done + size, n))))
        except RuntimeError as error:
            shortage = _shortage(error)
            if not shortage:
                raise
        if not shortage:
            done += size
            continue
        # Out of the except clause, so that its traceback no longer holds the tensors.
        torch.cuda.empty_cache()
        if size == 1:
            raise DoesNotFit(
                f"one image does not fit into the GPU's memory for {what}: {shortage}; choose a smaller --image-size "
                "or --backbone, or --device cpu"
            )
        size //= 2
        _fitting[what] = size
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _shortage(error: RuntimeError) -> str:
    """Return what memory an error says was needed, or nothing if it is about something else."""
    text = str(error)
    if not isinstance(error, torch.OutOfMemoryError) and not any(name in text for name in LIBRARIES):
        return ""
    needed = NEEDED.search(text)
    return f"it needed {needed[1]} more" if needed else describe_error(error)
