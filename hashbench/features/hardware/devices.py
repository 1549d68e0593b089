"""Which device the user's words stand for on this machine; torch is imported when it matters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hashbench.errors import InputError
from hashbench.features.hardware.cuda import cuda_problem
from hashbench.progress import to_stderr_once

if TYPE_CHECKING:
    from lightning_fabric import Fabric

DEVICE = re.compile(r"auto|cpu|cuda(?::([0-9]{1,4}))?")


def read_device(text: str) -> str:
    """Return a text if it is the name of a device: ``auto``, ``cpu``, ``cuda`` or ``cuda:NUMBER``.

    Raises
    ------
    ValueError
        It is none; the message says what is expected.
    """
    if DEVICE.fullmatch(text) is None:
        apples = "; GPUs of Apple (mps) are not supported" if text.partition(":")[0] == "mps" else ""
        raise ValueError(f"one of auto, cpu, cuda or cuda:NUMBER{apples}")
    return text


def refuse_unknown_device(text: str) -> None:
    """Raise if a text is no name of a device.

    Raises
    ------
    InputError
        It is none.
    """
    try:
        read_device(text)
    except ValueError as error:
        raise InputError(f"--device {text}: expected {error}") from None


def choose_device(accelerator: str) -> str:
    """Return the device that ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` stands for.

    Where ``auto`` becomes the CPU, the reason is printed once.

    Raises
    ------
    InputError
        It is none of these, or a CUDA device is requested that torch cannot use.
    """
    if accelerator == "cpu":
        return accelerator
    refuse_unknown_device(accelerator)
    problem = cuda_problem(_number(accelerator) or 0)
    if not problem:
        return "cuda" if accelerator == "auto" else accelerator
    if accelerator != "auto":
        raise InputError(f"--device {accelerator}: {problem}; or use --device cpu")
    to_stderr_once(f"--device auto: {problem}; computing on the CPU")
    return "cpu"


def _number(device: str) -> int | None:
    _, _, number = device.partition(":")
    return int(number) if number else None


def refuse_missing_devices(device: str, devices: int) -> None:
    """Raise if CUDA devices are asked for that are not visible; CUDA is not started.

    Raises
    ------
    InputError
        More CUDA devices are requested than are visible, or one of a higher number, or several by the name of one.
    """
    if device == "cpu" or (device == "auto" and devices == 1):
        return
    from torch.cuda import device_count

    visible, number = device_count(), _number(device)
    if visible == 0 or (number is not None and number >= visible):
        choose_device(device)  # says why it cannot, where one was named
        return
    if number is not None and devices > 1:
        raise InputError(f"--devices {devices}: --device {device} is a single one; use --device cuda")
    if devices > visible:
        raise InputError(f"--devices {devices}: {visible} CUDA devices are visible")


def open_fabric(device: str, devices: int = 1, precision: str = "32-true", strategy: str = "auto") -> Fabric:
    """Return Fabric on a device, or on several of its kind.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:NUMBER``.
    devices : int
    precision, strategy : str
        Fabric's names.

    Notes
    -----
    Within a job of Slurm, MPI or torchrun, Fabric would take each process for one of several that train together. A
    hashbench process always starts what it needs itself.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    number = _number(device)
    return Fabric(
        accelerator=device.partition(":")[0],
        devices=devices if number is None else [number],
        strategy=strategy,
        precision=precision,
        plugins=[LightningEnvironment()],
    )
