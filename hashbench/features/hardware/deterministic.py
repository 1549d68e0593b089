"""Computing on a GPU with the same bits each time: what torch, cuDNN and cuBLAS need for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable of cuBLAS: without it streams may change sums' order. torch looks for it at a process's first
product on a GPU, and never again."""


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Let torch take only algorithms that give the same bits each time; settings come back at the end.

    An operation that has no such algorithm raises. So do products on a GPU where the process has made some before,
    without the environment variable.

    Parameters
    ----------
    wanted : bool
        False changes nothing.
    """
    if not wanted:
        yield
        return
    import torch

    workspace = os.environ.get(WORKSPACE)
    os.environ.setdefault(WORKSPACE, ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
