"""Arrays on their way to a device: one copy for many of them, from memory that the GPU reads without waiting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; a copy to a GPU runs while the CPU goes on.

    Parameters
    ----------
    array : ndarray or Tensor
        On the CPU.
    device : torch.device
    """
    tensor = array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def all_to_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    """Return arrays of one dtype and any shapes as tensors on a device, in one copy.

    Parameters
    ----------
    arrays : sequence of ndarray
    device : torch.device
    """
    if device.type == "cpu":
        return [to_device(array, device) for array in arrays]
    flat = to_device(np.concatenate([array.reshape(-1) for array in arrays]), device)
    parts = flat.split([array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays, strict=True)]
