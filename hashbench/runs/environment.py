"""Where a record came about: versions, processor, threads, commit, memory."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hashbench.files.cores import n_cores

DIRTY = "-dirty"
CONTROL_GROUP = Path("/sys/fs/cgroup")

COMPUTING = (
    "hashbench",
    "numpy",
    "onnxruntime",
    "scipy",
    "scikit-learn",
    "numba",
    "torch",
    "torchvision",
    "timm",
    "lightning-fabric",
    "faiss-cpu",
)
"""Packages whose version can change a result."""
PACKAGES = (*COMPUTING, "pandas", "pyarrow", "safetensors", "threadpoolctl", "distributed")


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that are installed, by name."""
    versions = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge a record's timings and to reproduce it, but for GPUs.

    What only a loaded library can tell, such as its number of threads, is asked only where it is loaded already.
    """
    return {**_machine(), **_threads()}


@functools.cache
def _machine() -> dict[str, Any]:
    commit = _commit()
    return {
        "python": platform.python_version(),
        "system": _system(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "cores_usable": n_cores(),
        "memory_mb": round(_memory() / 2**20),
        "versions": installed(PACKAGES),
        "commit": commit and commit.removesuffix(DIRTY),
        "dirty": bool(commit and commit.endswith(DIRTY)),
    }


def _threads() -> dict[str, Any]:
    """Return the BLAS library and how many threads each library takes; ``threads`` is the most of them."""
    from threadpoolctl import threadpool_info

    pools, blas = dict[str, int](), None
    for pool in threadpool_info():
        pools[pool["user_api"]] = max(pools.get(pool["user_api"], 0), pool["num_threads"])
        if pool["user_api"] == "blas" and blas is None:
            blas = " ".join(filter(None, (pool["internal_api"], pool["version"], pool.get("architecture"))))
    for name in ("torch", "numba"):
        library = sys.modules.get(name)
        if library is not None and hasattr(library, "get_num_threads"):
            pools[name] = library.get_num_threads()
    return {"blas": blas, "thread_pools": pools, "threads": max(pools.values(), default=n_cores())}


def _system() -> str:
    try:
        release = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        release = ""
    return " ".join(filter(None, (platform.system(), platform.release(), platform.machine(), release)))


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _memory() -> int:
    """Return the bytes of memory that the machine, and a container's limit, leave to processes."""
    import psutil

    limits = [psutil.virtual_memory().total]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups of version 2, and of version 1
        with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
            limits.append(int((CONTROL_GROUP / name).read_text()))
    return min(limits)


def _commit() -> str | None:
    """Return the checkout's commit, with a mark where it has uncommitted changes; None outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", f"--dirty={DIRTY}", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def reset_peak_memory() -> None:
    """Start a new measurement of peak memory, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mb() -> float:
    """Return the process's peak resident memory in MB since `reset_peak_memory`, or since its start."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if platform.system() == "Darwin" else 1024)
