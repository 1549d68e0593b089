"""What the cells of a setting share: data, features, and measurements that do not depend on the method."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from hashbench.data.dataset import Dataset, hold_out_validation
from hashbench.data.loading import load
from hashbench.evaluation.counting import kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.features.opening import open_source
from hashbench.features.source import FeatureSource
from hashbench.files.cache import cache_directory
from hashbench.method import HashMethod
from hashbench.plugins.registry import Registry
from hashbench.runs.asked.options import RunOptions
from hashbench.runs.job import Setting

SEARCH_DEPTH = 1000
SEARCH_QUERIES = 256
MEASURE_AT_LEAST_S = 0.1


@dataclass
class Workbench:
    """A data set with its features.

    Attributes
    ----------
    dataset : Dataset
    source : FeatureSource
    registry : Registry
        What plugins there are; looking through the installed packages takes longer than a small cell.
    warm : bool
        Whether torch has taken a step already.
    """

    dataset: Dataset
    source: FeatureSource
    registry: Registry
    warm: bool = False
    _search: dict[int, float] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> tuple[Dataset, Dataset]:
        """The data with half of the queries taken away for validation, and with just these."""
        return hold_out_validation(self.dataset)

    def dataset_for(self, method: HashMethod) -> Dataset:
        """Return the data that a method is scored on: without the queries that it may look at."""
        return self.held_out[0] if "validation" in method.wants() else self.dataset

    def search_rate(self, n_bits: int, query: np.ndarray, database: np.ndarray) -> float:
        """Return queries per second of a top-1000 search; it depends on n_bits, not on the method."""
        if n_bits not in self._search:
            queries, words = item_words(query[:SEARCH_QUERIES]), word_major(database)
            depth = min(SEARCH_DEPTH, len(database))
            kernels.nearest(queries[:1], words, n_bits, depth)
            self._search[n_bits] = len(queries) / _seconds(lambda: kernels.nearest(queries, words, n_bits, depth))
        return self._search[n_bits]


_OPEN: dict[tuple[Setting, RunOptions], Workbench] = {}
"""The setting that this process works on."""


def open_workbench(setting: Setting, options: RunOptions) -> Workbench:
    """Return the workbench of a setting; the one that was used last stays open.

    Raises
    ------
    InputError
        The data set or the backbone cannot be had.
    """
    key = (setting, replace(options, methods="", datasets=(), bits=(), seeds=(), plugins=tuple(options.plugins)))
    if key not in _OPEN:
        _OPEN.clear()
        own = {name: getattr(setting, name) for name in ("protocol", "backbone", "data_dir", "splits")}
        chosen = replace(options, **own)
        registry = Registry(options.plugins)
        plugin = registry.find("datasets", setting.dataset).load()()
        dataset = load(plugin, chosen)
        source = open_source(dataset, chosen, cache_directory(options.cache_dir))
        _OPEN[key] = Workbench(dataset, source, registry)
    return _OPEN[key]


def _seconds(job: Callable[[], object]) -> float:
    """Return the median time of a job, repeated for at least a tenth of a second."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < MEASURE_AT_LEAST_S and len(times) < 100):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
