"""What cells use of GPUs, and leave on them; nothing here starts CUDA in a process that has not."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from contextlib import suppress
from typing import Any

from hashbench.features.hardware.precision import TF32

BROKEN = "a CUDA context that an error has broken"
"""Stands among what a request leaves behind: CUDA works in this process no more."""


def _started() -> Any:
    """Return torch.cuda where this process has started CUDA, else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None


def _devices(cuda: Any) -> list[int]:
    """Return the devices that hold memory of this process: no other has a context."""
    return [number for number in range(cuda.device_count()) if cuda.memory_reserved(number)]


def left_on_gpus() -> list[str]:
    """Return `BROKEN` if an error has broken a CUDA context of this process, as a failed assertion on a device does."""
    cuda = _started()
    if cuda is None:
        return []
    try:
        for number in _devices(cuda):
            cuda.synchronize(number)
    except Exception:  # its kind depends on torch's version
        return [BROKEN]
    return []


def free_memory() -> None:
    """Give back GPU memory that nothing uses any more, such as a failed method's."""
    cuda = _started()
    if cuda is not None:
        gc.collect()
        with suppress(Exception):  # the context may be broken
            cuda.empty_cache()


class GpuUse:
    """Measures what a cell uses of the GPUs while its context is entered.

    Parameters
    ----------
    device : str
        What the method is given, such as ``cpu`` or ``cuda``.
    devices : int
        How many of them.

    Attributes
    ----------
    precision : str
        What the method trains in, where it is a `hashbench.learning.deep.DeepMethod`: its float32 products keep to that
        and not to torch's settings, which tell of others'.
    told : dict
        Once the context is left, what `hashbench.runs.recording.new_record` takes: ``ran_on``, the device and how it
        computed; and ``peak_gpu_memory_mb``, the most that tensors held on one device, MB, or None where this process
        has put none there.
    """

    def __init__(self, device: str = "cpu", devices: int = 1) -> None:
        self.device, self.devices = device, devices
        self.precision, self.told = "", dict[str, Any]()
        self._before: dict[int, int] = {}

    def __enter__(self) -> GpuUse:
        """Begin to measure, on every device: its peak may be that of memory that was given back since."""
        cuda = _started()
        for number in range(cuda.device_count()) if cuda else ():
            cuda.reset_peak_memory_stats(number)
            self._before[number] = cuda.memory_allocated(number)
        return self

    def __exit__(self, *exception: object) -> None:
        """Take down what is to be told, while torch's settings are still the cell's."""
        peaks = self._peaks()
        device = f"cuda:{min(peaks)}" if self.device == "cpu" and peaks else self.device
        ran_on: dict[str, Any] = {"device": device, "devices": self.devices, "gpu": None}
        if device != "cpu":
            with suppress(Exception):  # a broken context tells nothing; that the cell ran on a GPU stays
                ran_on |= describe_gpu(int(device.partition(":")[2] or 0))
                if self.precision:
                    ran_on["tf32"] = dict.fromkeys(ran_on["tf32"], self.precision == TF32)
        peak = round(max(peaks.values()) / 2**20, 1) if peaks else None
        self.told = {"ran_on": ran_on, "peak_gpu_memory_mb": peak}

    def _peaks(self) -> dict[int, int]:
        """Return the peak memory, bytes, of the devices on which this process has used more than before."""
        cuda = _started()
        found = {number: cuda.max_memory_allocated(number) for number in range(cuda.device_count())} if cuda else {}
        return {number: peak for number, peak in found.items() if peak > self._before.get(number, 0)}


def describe_gpu(number: int = 0) -> dict[str, Any]:
    """Return the name of a GPU, and how torch computes on it; this starts CUDA.

    Parameters
    ----------
    number : int
        Among the visible ones.
    """
    import torch

    properties = torch.cuda.get_device_properties(number)
    return {
        "gpu": torch.cuda.get_device_name(number),
        "gpus": torch.cuda.device_count(),
        "gpu_memory_mb": round(properties.total_memory / 2**20),
        "cuda": torch.version.cuda,
        "driver": _driver(),
        "cudnn": torch.backends.cudnn.version(),
        "tf32": _tf32(torch),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _tf32(torch: Any) -> dict[str, bool]:
    """Return whether float32 products and convolutions may round their factors to TF32."""
    conv = getattr(torch.backends.cudnn, "conv", None)  # torch 2.9 and later, where the older name may raise
    convolutions = torch.backends.cudnn.allow_tf32 if conv is None else conv.fp32_precision == "tf32"
    return {"matmul": torch.get_float32_matmul_precision() != "highest", "convolutions": convolutions}


@functools.cache
def _driver() -> str | None:
    """Return the version of NVIDIA's driver; None where the tool that knows it is missing."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.partition("\n")[0].strip() or None
