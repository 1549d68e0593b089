"""Which device the user's words stand for on this machine; torch is imported when it matters."""

from __future__ import annotations

from hashbench.errors import InputError


def choose_device(accelerator: str) -> str:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` stands for.

    Raises
    ------
    InputError
        ``cuda`` is requested and no CUDA device is available.
    """
    if accelerator == "cpu":
        return accelerator
    import torch

    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is visible; use --device cpu or auto")
    return accelerator


def refuse_missing_devices(device: str, devices: int) -> None:
    """Raise if more CUDA devices are asked for than are visible.

    Raises
    ------
    InputError
        More CUDA devices are requested than are visible.
    """
    if devices == 1 or device == "cpu":
        return
    from torch.cuda import device_count, is_available

    if (device == "cuda" or is_available()) and devices > device_count():
        raise InputError(f"--devices {devices}: {device_count()} CUDA devices are visible")
