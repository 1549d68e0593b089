"""The precisions that networks compute in: what the user's words stand for, and TF32 only where it is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from hashbench.errors import InputError

if TYPE_CHECKING:
    import torch

TF32 = "tf32"
PRECISIONS = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true", TF32: TF32}
"""Names that feature keys hold, by the words of ``--precision``: Fabric's, and one for float32 with TF32 products."""
PRECISION_WORDS = {name: word for word, name in PRECISIONS.items()}


def choose_precision(precision: str, device: str) -> str:
    """Return a feature key's name of the precision.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16", "tf32"}
    device : str
        ``cpu``, ``cuda``, or one of several GPUs such as ``cuda:1``.

    Raises
    ------
    InputError
        The device does not support the requested precision.
    """
    import torch

    if precision == "fp16" and device == "cpu":  # Fabric would take bfloat16 instead, against the feature key
        raise InputError("precision fp16 needs a CUDA device; a CPU computes in bf16 or fp32")
    if precision == "bf16" and device != "cpu" and not torch.cuda.is_bf16_supported():
        raise InputError("precision bf16 is not available on this CUDA device; it computes in fp16 or fp32")
    if precision == TF32 and (device == "cpu" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise InputError("precision tf32 needs a GPU of compute capability 8.0 or higher; choose fp32")
    return PRECISIONS[precision]


def fabric_precision(precision: str) -> Any:
    """Return Fabric's name of a precision."""
    return "32-true" if precision == TF32 else precision


def float32_products(device: torch.device, precision: str = "32-true") -> AbstractContextManager[None]:
    """Return a context in which CUDA's float32 matrix products and convolutions use TF32 or not.

    By default cuDNN rounds the factors of float32 convolutions to 10 bits (TF32) on compute capability 8.0 and
    higher. Here that happens only for the precision ``tf32``. The settings before come back at the end.

    Parameters
    ----------
    device : torch.device
    precision : str
        A value of `PRECISIONS`.
    """
    return nullcontext() if device.type == "cpu" else _tf32(precision == TF32)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    import torch

    before = torch.get_float32_matmul_precision(), _convolutions()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    _set_convolutions("tf32" if allowed else "ieee")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        _set_convolutions(before[1])


def _convolutions() -> str:
    """Return what convolutions compute in: ``tf32``, or another word."""
    from torch.backends import cudnn

    if hasattr(cudnn, "conv"):
        return cudnn.conv.fp32_precision
    return "tf32" if cudnn.allow_tf32 else "ieee"


def _set_convolutions(precision: str) -> None:
    from torch.backends import cudnn

    cudnn.allow_tf32 = precision == "tf32"
    if hasattr(cudnn, "conv"):  # torch 2.9 and later, where the older setting can be overruled
        cudnn.conv.fp32_precision = precision
