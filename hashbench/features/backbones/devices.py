"""Which device and which precision the user's words stand for on this machine; torch is imported when it matters."""

from __future__ import annotations

from hashbench.errors import InputError

PRECISIONS = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
"""Fabric's names, which feature keys hold, by the words of ``--precision``."""
PRECISION_WORDS = {fabric: word for word, fabric in PRECISIONS.items()}


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


def choose_precision(precision: str, device: str) -> str:
    """Return Fabric's name of the precision; ``auto`` is bfloat16 where the hardware has it.

    Raises
    ------
    InputError
        The device does not support the requested precision.
    """
    import torch

    if precision == "fp16" and device == "cpu":  # Fabric would take bfloat16 instead, against the feature key
        raise InputError("precision fp16 needs a CUDA device; a CPU computes in bf16 or fp32")
    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("precision bf16 is not available on this CUDA device; it computes in fp16 or fp32")
    if precision != "auto":
        return PRECISIONS[precision]
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    return "bf16-mixed" if fast else "32-true"
