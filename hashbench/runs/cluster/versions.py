"""Versions that all machines of a cluster must share, so that it does not matter which of them computes a cell."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from hashbench.evaluation import metrics
from hashbench.plugins.registry import KINDS
from hashbench.runs.environment import COMPUTING, installed

PACKAGES = (*COMPUTING, "pillow")
NONE = "none"


@functools.cache
def own_versions() -> dict[str, str]:
    """Return by name the versions here of what can change a result.

    A build of a version, as in ``2.6.0+cpu``, does not count: clients often have no GPU. Of hashbench itself it is also
    the engine's version and a checksum of the source, plugins left out: each cell checks its own.
    """
    found = installed(PACKAGES)
    versions = {package: found.get(package, NONE).partition("+")[0] for package in PACKAGES}
    python = ".".join(map(str, sys.version_info[:2]))
    return {"python": python, **versions, "engine": str(metrics.VERSION), "hashbench's source": _source()}


def _source() -> str:
    package, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in KINDS:
            digest.update(f"{name.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def difference(client: Mapping[str, str], worker: Mapping[str, str]) -> str:
    """Return in words what a worker has in another version than the client; empty where it has all the same."""
    names = [name for name in {**client, **worker} if client.get(name, NONE) != worker.get(name, NONE)]
    return ", ".join(f"{name} {worker.get(name, NONE)} (here {client.get(name, NONE)})" for name in names)
