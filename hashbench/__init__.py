"""hashbench: the benchmark suite for learning to hash.

To use it: `run`, `load_method`, `load_quantizer`, `load_dataset`, `load_model`, `evaluate`, `score`, `compare`, `show`,
`tune`.
To write a method: `HashMethod`, `Unsupported`, `Tunable`, `log_range`. To write a quantizer: `Quantizer`,
`Unsupported`, `log_range`. To write a metric: `Metric`, `Histograms`. To write a data set: `HashDataset`, `Items`,
`ImageFiles`, `LoadOptions`, `Protocol`, `Split` with ``draw_*`` and `official_split`, `ViewRecipe`, `PHOTO_VIEWS`,
`InputError`. Shared code that decides a plugin's result, and so belongs to its identity, is imported from its module:
``hashbench.learning`` and ``hashbench.data.readers``.

The names below are imported when they are first used, so that ``import hashbench`` is quick and light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashbench.api import compare, load_dataset, load_method, load_quantizer, run, show, tune
    from hashbench.codes.score import Score, score
    from hashbench.contract.method import HashMethod
    from hashbench.contract.quantizer import Quantizer
    from hashbench.contract.search_space import log_range
    from hashbench.data.dataset import Dataset
    from hashbench.data.images import EncodedImages, ImageFiles
    from hashbench.data.items import Items
    from hashbench.data.options import LoadOptions
    from hashbench.data.plugin import HashDataset
    from hashbench.data.protocol import Protocol
    from hashbench.data.splits import Split, draw_any, draw_per_class, draw_per_label, official_split
    from hashbench.data.view_recipes import PHOTO_VIEWS, ViewRecipe
    from hashbench.errors import ContractError, InputError, Unsupported
    from hashbench.evaluation.counting.histograms import Histograms
    from hashbench.evaluation.evaluate import Evaluation, evaluate
    from hashbench.evaluation.metrics import Metric
    from hashbench.features.tunable import Tunable
    from hashbench.models.model_files import load_model

_HOMES = {
    "compare": "hashbench.api",
    "load_dataset": "hashbench.api",
    "load_method": "hashbench.api",
    "load_quantizer": "hashbench.api",
    "run": "hashbench.api",
    "show": "hashbench.api",
    "tune": "hashbench.api",
    "Dataset": "hashbench.data.dataset",
    "EncodedImages": "hashbench.data.images",
    "ImageFiles": "hashbench.data.images",
    "Items": "hashbench.data.items",
    "LoadOptions": "hashbench.data.options",
    "HashDataset": "hashbench.data.plugin",
    "Protocol": "hashbench.data.protocol",
    "Split": "hashbench.data.splits",
    "draw_any": "hashbench.data.splits",
    "draw_per_class": "hashbench.data.splits",
    "draw_per_label": "hashbench.data.splits",
    "official_split": "hashbench.data.splits",
    "PHOTO_VIEWS": "hashbench.data.view_recipes",
    "ViewRecipe": "hashbench.data.view_recipes",
    "ContractError": "hashbench.errors",
    "InputError": "hashbench.errors",
    "Unsupported": "hashbench.errors",
    "Histograms": "hashbench.evaluation.counting.histograms",
    "Evaluation": "hashbench.evaluation.evaluate",
    "evaluate": "hashbench.evaluation.evaluate",
    "Metric": "hashbench.evaluation.metrics",
    "Tunable": "hashbench.features.tunable",
    "Score": "hashbench.codes.score",
    "score": "hashbench.codes.score",
    "HashMethod": "hashbench.contract.method",
    "load_model": "hashbench.models.model_files",
    "log_range": "hashbench.contract.search_space",
    "Quantizer": "hashbench.contract.quantizer",
}

__all__ = [
    "PHOTO_VIEWS",
    "ContractError",
    "Dataset",
    "EncodedImages",
    "Evaluation",
    "HashDataset",
    "HashMethod",
    "Histograms",
    "ImageFiles",
    "InputError",
    "Items",
    "LoadOptions",
    "Metric",
    "Protocol",
    "Quantizer",
    "Score",
    "Split",
    "Tunable",
    "Unsupported",
    "ViewRecipe",
    "compare",
    "draw_any",
    "draw_per_class",
    "draw_per_label",
    "evaluate",
    "load_dataset",
    "load_method",
    "load_model",
    "load_quantizer",
    "log_range",
    "official_split",
    "run",
    "score",
    "show",
    "tune",
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
