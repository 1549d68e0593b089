"""Whether torch can compute on a GPU of this machine, and if not, why."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence

from hashbench.errors import describe_error

ARCHITECTURE = re.compile(r"(sm|compute)_([0-9]+)([0-9])([af]?)")


def cuda_problem(index: int = 0) -> str:
    """Return why torch cannot compute on a CUDA device, or an empty text where it can.

    It starts CUDA in this process, which makes no context on any device.

    Parameters
    ----------
    index : int
        The device's number among the visible ones.
    """
    import torch

    build = f"torch {torch.__version__}"
    if not (torch.version.cuda or torch.version.hip or torch.cuda.is_available()):
        return f"{build} is a build for CPUs; install one for CUDA"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's paragraphs on a GPU that it was not built for
        try:
            torch.cuda.init()
        except Exception as error:  # torch's own kinds of error have changed between its versions
            return _not_started(error, f"{build} for CUDA {torch.version.cuda}")
    visible = torch.cuda.device_count()
    if index >= visible:
        return f"the last of the visible CUDA devices is cuda:{visible - 1}" if visible else _no_gpu()
    capability, built_for = torch.cuda.get_device_capability(index), torch.cuda.get_arch_list()
    if not built_for or any(_runs_on(architecture, capability) for architecture in built_for):
        return ""
    age = "old" if capability < min(map(_capability, built_for)) else "new"
    shown = ".".join(map(str, capability))
    return (
        f"{torch.cuda.get_device_name(index)} with compute capability {shown} is too {age} for {build}, built for "
        f"{', '.join(built_for)}; install a build that supports it"
    )


def _not_started(error: Exception, build: str) -> str:
    text = str(error)
    if "too old" in text:
        return f"the NVIDIA driver is too old for {build}; update the driver, or install a build for an older CUDA"
    if "no NVIDIA driver" in text or "No CUDA GPUs" in text:
        return _no_gpu()
    return f"CUDA cannot be started ({describe_error(error)})"


def _no_gpu() -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "no NVIDIA GPU is visible" + ("" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible!r:.60})")


def _capability(architecture: str) -> tuple[int, int]:
    match = ARCHITECTURE.fullmatch(architecture)
    return (0, 0) if match is None else (int(match[2]), int(match[3]))


def _runs_on(architecture: str, capability: Sequence[int]) -> bool:
    """Return whether code for an architecture runs on a device.

    ``sm_`` is machine code: it runs within its major version, from its minor version on, with the suffix ``a`` on that
    very one. ``compute_`` is PTX, which the driver compiles for every later device. (CUDA C++ Programming Guide,
    "Binary compatibility" and "PTX compatibility".)
    """
    match = ARCHITECTURE.fullmatch(architecture)
    if match is None:
        return True  # of another vendor, or a newer scheme: not ours to refuse
    kind, _, _, suffix = match.groups()
    built, device = _capability(architecture), tuple(capability)
    if suffix == "a":
        return device == built
    if kind == "compute" and not suffix:
        return device >= built
    return device[0] == built[0] and device >= built
