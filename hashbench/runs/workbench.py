"""Shared by the cells of a setting: data, features, and measurements that do not depend on the method."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.estimator import Estimator
from hashbench.data.dataset import Dataset, hold_out_validation
from hashbench.data.loading import load
from hashbench.data.neighbors import cached_neighbors
from hashbench.data.splits import hold_out_queries
from hashbench.evaluation.asymmetric import nearest_asymmetric
from hashbench.evaluation.counting import kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.evaluation.metrics import Metric
from hashbench.features.opening import open_source
from hashbench.features.source import FeatureSource
from hashbench.files.cache import cache_directory
from hashbench.files.cores import one_core
from hashbench.files.hashing import canonical_hash
from hashbench.plugins.registry import Registry
from hashbench.runs.job import Setting
from hashbench.runs.requested.options import RunOptions

SEARCH_DEPTH = 1000
SEARCH_QUERIES = 256
TOP = 100
ONE_CORE_QUERIES = 32
"""How many neighbours a search on one core is timed for, and how many queries it gets at once."""
CANDIDATES = 1000
"""The nearest codes to each query that a quantizer's search returns: ten times the 100 neighbours."""
MEASURE_AT_LEAST_S = 0.1
VALIDATION_SHARE = 0.1
"""How much of the training set is kept for a supervised method's choice of an epoch."""


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
    cache_dir : Path or None
    """

    dataset: Dataset
    source: FeatureSource
    registry: Registry
    warm: bool = False
    cache_dir: Path | None = None
    _search: dict[tuple[int, str], float] = field(default_factory=dict)
    _neighbors: dict[int, np.ndarray] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> tuple[Dataset, Dataset]:
        """The data with half of the queries taken away for validation, and with just these."""
        return hold_out_validation(self.dataset)

    @cached_property
    def validated(self) -> Dataset:
        """The data with queries from the training set, a tenth of each class, in place of its queries."""
        split = hold_out_queries(self.dataset.split, VALIDATION_SHARE, self.dataset.labels)
        unsized = replace(self.dataset.protocol, n_query=None, n_database=None, n_train=None)
        return replace(self.dataset, split=split, protocol=unsized)

    def dataset_for(self, method: Estimator) -> Dataset:
        """Return the data that a method is scored on: without the queries that it may look at."""
        return self.held_out[0] if looks_at_queries(method) else self.dataset

    def feature_neighbors(self, metric: Metric) -> np.ndarray:
        """Return as many true neighbours of the queries' features in the database as a metric needs.

        Returns
        -------
        ndarray of shape (n_query, k), int64
            Positions in the database part, nearest first by Euclidean distance.
        """
        k = metric.n_neighbors
        if k not in self._neighbors:
            key = canonical_hash([self.dataset.data_fingerprint, self.source.key])
            features = self.source.features().data
            self._neighbors[k] = cached_neighbors(features, self.dataset.split, k, "euclidean", key, self.cache_dir)
        return self._neighbors[k]

    def search_rate(self, n_bits: int, query: np.ndarray, database: np.ndarray, distance: str = "hamming") -> float:
        """Return queries per second of a top-1000 search; it depends on n_bits and distance, not on the method.

        Parameters
        ----------
        n_bits : int
        query : ndarray
            Packed codes, or real values where the distance is ``asymmetric``.
        database : ndarray of shape (n_database, ceil(n_bits / 8)), uint8
        distance : {"hamming", "asymmetric"}
        """
        if (n_bits, distance) not in self._search:
            queries, depth = query[:SEARCH_QUERIES], min(SEARCH_DEPTH, len(database))
            search = searcher(n_bits, database, depth, distance)
            search(queries[:1])
            self._search[n_bits, distance] = len(queries) / median_s(lambda: search(queries))
        return self._search[n_bits, distance]

    def one_core_rates(self, search: Callable[[np.ndarray], object], queries: np.ndarray) -> dict[str, float]:
        """Return how fast one core searches for the top 100 of queries, and ranks candidates again by their vectors.

        Parameters
        ----------
        search : callable
            Gets some queries at once.
        queries : ndarray of shape (n_queries, ...)
        """
        some = queries[:ONE_CORE_QUERIES]
        with one_core():
            search(some[:1])
            rate = len(some) / median_s(lambda: search(some))
            return {"top100_queries_per_s": rate, "rescored_candidates_per_s": self._rescoring_rate}

    @cached_property
    def _rescoring_rate(self) -> float:
        """How many candidates are ranked by their float32 vectors in a second: gathered, and their distances."""
        data, split = self.source.features().data, self.dataset.split
        candidates = np.random.default_rng(0).choice(split.database, (len(split.query[:16]), SEARCH_DEPTH))

        def rescore() -> None:
            for query, rows in zip(split.query, candidates, strict=False):
                vectors = np.asarray(data[rows], np.float32)
                vectors -= data[query : query + 1]
                np.argsort(np.einsum("ij,ij->i", vectors, vectors))

        return candidates.size / median_s(rescore)


def looks_at_queries(method: Estimator) -> bool:
    """Return whether a method's validation queries are half of the protocol's.

    Those of a supervised method are drawn from the training set, which it has the labels of anyway.
    """
    return "validation" in method.wants() and method.supervision == "unsupervised"


def searcher(n_bits: int, database: np.ndarray, depth: int, distance: str) -> Callable[[np.ndarray], object]:
    """Return a function that searches for the nearest codes of queries, exhaustively."""
    if distance == "asymmetric":
        return lambda values: nearest_asymmetric(values, database, depth)
    words = word_major(database)
    return lambda codes: kernels.nearest(item_words(codes), words, n_bits, depth)


_OPEN: dict[tuple[Setting, RunOptions], Workbench] = {}
"""The setting that this process works on."""


def open_workbench(setting: Setting, options: RunOptions, key: dict[str, Any] | None = None) -> Workbench:
    """Return the workbench of a setting; the one that was used last stays open.

    Parameters
    ----------
    setting : Setting
    options : RunOptions
    key : dict, optional
        The feature key, where a plan has found it.

    Raises
    ------
    InputError
        The data set or the backbone cannot be had.
    """
    which = (setting, replace(options, methods="", datasets=(), bits=(), seeds=(), plugins=tuple(options.plugins)))
    if which not in _OPEN:
        _OPEN.clear()
        of_setting = {name: getattr(setting, name) for name in ("protocol", "backbone", "data_dir", "splits")}
        chosen = replace(options, **of_setting)
        registry = Registry(options.plugins)
        plugin = registry.find("datasets", setting.dataset).load()()
        dataset = load(plugin, chosen)
        cache_dir = cache_directory(options.cache_dir)
        source = open_source(dataset, chosen, cache_dir, key)
        _OPEN[which] = Workbench(dataset, source, registry, cache_dir=cache_dir)
    return _OPEN[which]


def median_s(job: Callable[[], object]) -> float:
    """Return the median time of a job, repeated for at least a tenth of a second."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < MEASURE_AT_LEAST_S and len(times) < 100):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
