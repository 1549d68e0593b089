"""What all cells of a run share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.dataset import Dataset, hold_out_validation
from hashbench.errors import InputError
from hashbench.evaluation import kernels, metrics
from hashbench.evaluation.codes import item_words, word_major
from hashbench.features.source import FeatureSource
from hashbench.method import HashMethod
from hashbench.runs.job import Cell

SEARCH_DEPTH = 1000
SEARCH_QUERIES = 256
MEASURE_AT_LEAST_S = 0.1
OFFERED = {"views", "tunable", "validation", "device", "devices", "workdir", "log"}
"""What a method's ``fit`` may ask for by keyword."""


@dataclass
class Workbench:
    """What all cells of a run share: data, features, and measurements that do not depend on the method."""

    dataset: Dataset
    source: FeatureSource
    log: Callable[[str], None]
    workdir: Path
    warm: bool = False
    _search: dict[int, float] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> tuple[Dataset, Dataset]:
        """The data with half of the queries taken away for validation, and with just these."""
        return hold_out_validation(self.dataset)

    def dataset_for(self, method: HashMethod) -> Dataset:
        """Return the data that a method is scored on: without the queries that it may look at."""
        return self.held_out[0] if "validation" in method.wants() else self.dataset

    def config(self, cell: Cell) -> dict[str, Any]:
        """Return everything that decides a cell's result; no paths, nothing of the machine."""
        method = cell.method()
        params = method.get_params()
        _refuse_unknown_extras(method, cell)
        dataset, views = self.dataset_for(method), None
        if "views" in method.wants() and method.skip(dataset) is None:
            views = self.source.view_key(method.n_pool_views(len(dataset.split.train)), params["views_seed"])
        if "tunable" in method.wants() and method.skip(dataset) is None:
            views = self.source.recipe_key(params.get("views_seed"))
        return {
            "dataset": dataset.name,
            "data": dataset.fingerprint,
            "protocol": dataset.protocol.name,
            "protocol_hash": dataset.protocol.hash,
            "features": self.source.key,
            "views": views,
            "method": cell.plugin.name,
            "params": {key: params[key] for key in sorted(params) if key not in ("n_bits", "random_state")},
            "source": cell.plugin.source_hash,
            "n_bits": cell.n_bits,
            "seed": cell.seed,
            "engine": metrics.VERSION,
        }

    def search_rate(self, n_bits: int, query: np.ndarray, database: np.ndarray) -> float:
        """Return queries per second of a top-1000 search; it depends on n_bits, not on the method."""
        if n_bits not in self._search:
            queries, words = item_words(query[:SEARCH_QUERIES]), word_major(database)
            depth = min(SEARCH_DEPTH, len(database))
            kernels.nearest(queries[:1], words, n_bits, depth)
            self._search[n_bits] = len(queries) / _seconds(lambda: kernels.nearest(queries, words, n_bits, depth))
        return self._search[n_bits]


def _refuse_unknown_extras(method: HashMethod, cell: Cell) -> None:
    """Raise if a plugin's ``fit`` asks for what no run has."""
    wanted, params = method.wants(), method.get_params()
    where = f"{cell.label} ({cell.plugin.place})"
    if wanted - OFFERED:
        unknown = ", ".join(sorted(wanted - OFFERED))
        raise InputError(f"{where}: fit asks for {unknown}; a run offers {', '.join(sorted(OFFERED))}")
    if "views" in wanted and not {"n_views", "views_seed"} <= set(params):
        raise InputError(f"{where}: fit asks for views, so __init__ needs the parameters n_views and views_seed")


def _seconds(job: Callable[[], object]) -> float:
    """Return the median time of a job, repeated for at least a tenth of a second."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < MEASURE_AT_LEAST_S and len(times) < 100):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
