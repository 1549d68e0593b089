"""hashbench: the benchmark suite for learning to hash.

The names below are imported when they are first used, so that ``import hashbench`` is quick and light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashbench.api import load_dataset, load_method, run
    from hashbench.data.dataset import Dataset
    from hashbench.data.items import Items
    from hashbench.data.options import LoadOptions
    from hashbench.data.plugin import HashDataset
    from hashbench.data.protocol import Protocol
    from hashbench.data.splits import Split
    from hashbench.errors import InputError, Unsupported
    from hashbench.evaluation.evaluate import Evaluation, evaluate
    from hashbench.method import HashMethod
    from hashbench.models.saved import load_model

_HOMES = {
    "load_dataset": "hashbench.api",
    "load_method": "hashbench.api",
    "run": "hashbench.api",
    "Dataset": "hashbench.data.dataset",
    "HashDataset": "hashbench.data.plugin",
    "Items": "hashbench.data.plugin",
    "LoadOptions": "hashbench.data.plugin",
    "Protocol": "hashbench.data.protocol",
    "Split": "hashbench.data.splits",
    "InputError": "hashbench.errors",
    "Unsupported": "hashbench.errors",
    "Evaluation": "hashbench.evaluation.evaluate",
    "evaluate": "hashbench.evaluation.evaluate",
    "HashMethod": "hashbench.method",
    "load_model": "hashbench.models.saved",
}

__all__ = [
    "Dataset",
    "Evaluation",
    "HashDataset",
    "HashMethod",
    "InputError",
    "Items",
    "LoadOptions",
    "Protocol",
    "Split",
    "Unsupported",
    "evaluate",
    "load_dataset",
    "load_method",
    "load_model",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hashbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*globals(), *_HOMES])
