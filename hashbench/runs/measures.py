"""Ways to measure what a cell has trained: bits by relevance, bytes by recall of true neighbours or by labels."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import CODE_BLOCK, Quantizer
from hashbench.contract.values import BLOCK_ROWS
from hashbench.data.protocol import Distance
from hashbench.data.similarity import Similarity
from hashbench.evaluation.asymmetric import per_query_values
from hashbench.evaluation.candidates import recalls
from hashbench.evaluation.curves import curves
from hashbench.evaluation.evaluate import Evaluation, by_reading, evaluate
from hashbench.evaluation.metrics import Metric, parse
from hashbench.evaluation.relevance import relevance_of
from hashbench.guard.plugin_code import plugin_code
from hashbench.progress import doing
from hashbench.records.array_schema import VALUES
from hashbench.records.metric_info import MetricInfo
from hashbench.runs.added_metrics import AddedScores, added_scores
from hashbench.runs.job import Job
from hashbench.runs.training import Fitted, rows_of
from hashbench.runs.workbench import CANDIDATES, TOP, Workbench, searcher

ENCODE_ROWS = 128 * BLOCK_ROWS
"""Whole blocks of `Estimator.encode`, so that codes are those of one call."""
QUERY_BLOCK = 256


class Measure(ABC):
    """Codes of what was trained, and how they are scored.

    It is made under the guard around plugins' code: what asks the method is in ``__init__``.

    Parameters
    ----------
    job : Job
    bench : Workbench
    fitted : Fitted

    Attributes
    ----------
    database : ndarray of shape (n_database, n_bytes), uint8
        Its codes.
    items_per_s : float
        How many of them were made in a second.
    portable : bool or None
        What the record says under this name.
    """

    portable: bool | None = None

    def __init__(self, job: Job, bench: Workbench, fitted: Fitted) -> None:
        self._job, self._bench, self._dataset = job, bench, fitted.dataset
        self.database, self.items_per_s = _encoded(fitted)

    @property
    @abstractmethod
    def codes(self) -> dict[str, np.ndarray]:
        """Packed codes by the names that a record has for them."""

    @abstractmethod
    def scores(self) -> Evaluation:
        """Return the metrics of the job's protocol."""

    @abstractmethod
    def added(self) -> AddedScores:
        """Return the metrics that the run adds to these."""

    @abstractmethod
    def arrays(self, scores: Evaluation) -> dict[str, np.ndarray]:
        """Return what is kept of the cell, besides the metrics by query."""

    @abstractmethod
    def rates(self) -> dict[str, float]:
        """Return how fast a search is, as timings of a record."""


class Bits(Measure):
    """Binary codes, ranked by Hamming distance or by real values of the queries."""

    def __init__(self, job: Job, bench: Workbench, fitted: Fitted) -> None:
        method = fitted.method
        assert isinstance(method, HashMethod)
        super().__init__(job, bench, fitted)
        queries = rows_of(fitted.features.data, fitted.dataset.split.query)
        self._values = method.values(queries) if job.distance == "asymmetric" else None
        self._query = method.encode(queries)
        self.portable = method.portable

    @property
    def codes(self) -> dict[str, np.ndarray]:
        """Codes of queries and database."""
        return {"query_codes": self._query, "database_codes": self.database}

    @property
    def _ranked(self) -> tuple[np.ndarray, Distance]:
        """What queries are ranked by, codes or values, and the distance's name."""
        return (self._query, "hamming") if self._values is None else (self._values, "asymmetric")

    def scores(self) -> Evaluation:
        """Return the metrics by relevance."""
        queries, distance = self._ranked
        return evaluate(
            queries,
            self.database,
            metrics=self._job.metrics,
            distance=distance,
            n_bits=self._job.n_bits,
            **self._dataset.relevance(),
        )

    def added(self) -> AddedScores:
        """Return the added metrics by relevance, and recall of the features' neighbours if the job asks for it."""
        (queries, distance), job = self._ranked, self._job

        def scored(infos: Sequence[MetricInfo], **relevance: np.ndarray) -> AddedScores:
            ranked = {"distance": distance, "n_bits": job.n_bits}
            return added_scores(infos, self._bench.registry, queries, self.database, **ranked, **relevance)

        scores = scored(job.added, **self._dataset.relevance())
        if job.feature_recall is None:
            return scores
        recall = scored([job.feature_recall], neighbors=self._bench.feature_neighbors(parse(job.feature_recall.name)))
        return AddedScores(scores.per_query | recall.per_query, scores.infos | recall.infos)

    def arrays(self, scores: Evaluation) -> dict[str, np.ndarray]:
        """Return codes, and curves or values."""
        kept = {} if scores.counted is None else curves(scores.counted)
        return self.codes | kept | ({} if self._values is None else {VALUES: self._values})

    def rates(self) -> dict[str, float]:
        """Return the rate of a top-1000 search, and where recall for bytes is measured, those of one core."""
        queries, distance = self._ranked
        rates = {
            "search_queries_per_s": self._bench.search_rate(self._job.n_bits, queries, self.database, distance),
        }
        if self._job.is_by_bytes:
            search = searcher(self._job.n_bits, self.database, min(TOP, len(self.database)), distance)
            rates |= self._bench.one_core_rates(search, queries)
        return rates


class Bytes(Measure):
    """Codes of a quantizer, searched by its distance; they are not kept."""

    def __init__(self, job: Job, bench: Workbench, fitted: Fitted) -> None:
        quantizer, split = fitted.method, fitted.dataset.split
        assert isinstance(quantizer, Quantizer)
        super().__init__(job, bench, fitted)
        doing("search")
        self._queries = rows_of(fitted.features.data, split.query)
        self._search = quantizer.searcher(self.database, fitted.dataset.protocol.similarity or "euclidean")
        n_candidates = min(CANDIDATES, len(self.database))
        self._candidates = np.concatenate(
            [
                self._search(self._queries[start : start + QUERY_BLOCK], n_candidates)
                for start in range(0, len(self._queries), QUERY_BLOCK)
            ]
        )

    @property
    def codes(self) -> dict[str, np.ndarray]:
        """Codes of the database: queries have none."""
        return {"database_codes": self.database}

    def scores(self) -> Evaluation:
        """Return recalls of true neighbours."""
        assert self._dataset.neighbors is not None
        return Evaluation.of(recalls(self._candidates, self._dataset.neighbors, self._job.metrics))

    def added(self) -> AddedScores:
        """Return added recalls of true neighbours."""
        assert self._dataset.neighbors is not None
        infos = {info.name: info for info in self._job.added}
        return AddedScores(recalls(self._candidates, self._dataset.neighbors, tuple(infos)), infos)

    def arrays(self, scores: Evaluation) -> dict[str, np.ndarray]:
        """Return nothing: the codes of float32 are the data again."""
        return {}

    def rates(self) -> dict[str, float]:
        """Return how fast one core searches and ranks again."""
        top = min(TOP, len(self.database))
        with plugin_code():
            return self._bench.one_core_rates(lambda some: self._search(some, top), self._queries)


class Uncoded(Measure):
    """Codes of a quantizer, ranked by its distance and scored by labels; they are not kept."""

    def __init__(self, job: Job, bench: Workbench, fitted: Fitted) -> None:
        quantizer, dataset = fitted.method, fitted.dataset
        assert isinstance(quantizer, Quantizer)
        super().__init__(job, bench, fitted)
        doing("score")
        queries = rows_of(fitted.features.data, dataset.split.query)
        about = dataset.relevance()
        labels = about["query_labels"], about["database_labels"]
        similarity = dataset.protocol.similarity or "euclidean"

        def values(some: np.ndarray, items: np.ndarray, wanted: Sequence[Metric]) -> dict[str, np.ndarray]:
            relevance = relevance_of(labels[0][some], labels[1][items], None, None, len(some), len(items))
            ranked = _OwnDistances(queries[some], self.database[items], quantizer, similarity)
            return per_query_values(ranked, relevance, wanted, lambda n_queries: None)

        wanted = [parse(name) for name in job.metrics]
        if dataset.unseen is None:
            every = np.arange(len(queries)), np.arange(len(self.database))
            self._scores = Evaluation.of(values(*every, wanted))
        else:
            self._scores = by_reading(wanted, *labels, dataset.unseen, values)

    @property
    def codes(self) -> dict[str, np.ndarray]:
        """Codes of the database: queries have none."""
        return {"database_codes": self.database}

    def scores(self) -> Evaluation:
        """Return the metrics by labels."""
        return self._scores

    def added(self) -> AddedScores:
        """Return nothing: no run adds metrics to these."""
        return AddedScores()

    def arrays(self, scores: Evaluation) -> dict[str, np.ndarray]:
        """Return nothing: the codes of float32 are the data again."""
        return {}

    def rates(self) -> dict[str, float]:
        """Return nothing: a ceiling is not searched."""
        return {}


@dataclass(frozen=True)
class _OwnDistances:
    """A quantizer's distances as scores, the nearest highest."""

    queries: np.ndarray
    database: np.ndarray
    quantizer: Quantizer
    similarity: Similarity

    def scores(self, part: slice) -> np.ndarray:
        queries = self.queries[part]
        scores = np.empty((len(queries), len(self.database)))
        for start in range(0, len(self.database), CODE_BLOCK):
            some = slice(start, start + CODE_BLOCK)
            np.negative(self.quantizer.compared(queries, self.database[some], self.similarity), out=scores[:, some])
        return scores


def measure_of(job: Job) -> type[Measure]:
    """Return the way to measure a job."""
    if job.kind == "methods":
        return Bits
    return Bytes if job.is_by_bytes else Uncoded


def _encoded(fitted: Fitted) -> tuple[np.ndarray, float]:
    """Return codes of the database, gathered a bounded number of rows at a time, and how many were made in a second."""
    method, data, database = fitted.method, fitted.features.data, fitted.dataset.split.database
    method.encode(rows_of(data, database[: 2 * BLOCK_ROWS]))
    blocks, seconds = [], 0.0
    for start in range(0, len(database), ENCODE_ROWS):
        rows = rows_of(data, database[start : start + ENCODE_ROWS])
        started = time.perf_counter()
        blocks.append(method.encode(rows))
        seconds += time.perf_counter() - started
    return np.concatenate(blocks), len(database) / seconds
