"""Ranking real-valued queries against binary codes, exact and with its ties in expectation.

The score of an item is factor · ⟨q, b⟩ + offset, with b its code in −1 and 1; higher is nearer. Equal scores are ties,
so they must not depend on the order of a sum. Each query is therefore taken in fixed point: rounded to multiples of
2^(x − 52), where its absolute values add up to less than 2^x. All products and partial sums are then whole multiples
below 2^53, which float64 holds exactly, so that a matrix product gives the same ⟨q, b⟩ in whatever order and blocks.
A float32 value keeps all its digits unless it is below 2^-29 of that sum. Factor and offset are applied in float64, one
multiplication and one addition an item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hashbench.evaluation.counting.codes import as_packed, refuse_bits_beyond
from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.metrics import Metric, values_of
from hashbench.evaluation.relevance import Relevance
from hashbench.evaluation.score_order import count_groups, keep_best

SCORE_BYTES = 128 * 2**20
"""Scores in memory at once; at least one query's."""
QUERY_BLOCK = 256
"""Queries that share one unpacking of the codes."""
NEAREST_STEP = 8192
"""Rows whose scores are compared with the best so far at a time: all but the first few have few that are better."""
UNPACKED_BYTES = 4 * 2**20
"""Codes in memory as floats at once."""
GROUP_BYTES = 64 * 2**20
"""Counts of groups in memory at once; at least one query's."""


class Scores(Protocol):
    """Scores of all items for some queries, the higher the nearer."""

    @property
    def queries(self) -> np.ndarray:
        """A row for each query."""

    @property
    def database(self) -> np.ndarray:
        """A row for each item."""

    def scores(self, part: slice) -> np.ndarray:
        """Return scores of a part of the queries, (n_queries, n_database) float64, none of them NaN."""


@dataclass(frozen=True)
class AsymmetricPair:
    """Real-valued queries and packed codes, with a factor and an offset for each row of the database.

    Attributes
    ----------
    queries : ndarray of shape (n_queries, n_bits), float64
        Whole numbers whose absolute values add up to less than 2^53: the values times 2^``exponents``.
    exponents : ndarray of shape (n_queries, 1), int
    database : ndarray of shape (n_database, ceil(n_bits / 8)), uint8
    factors, offsets : ndarray of shape (n_database,), float64, or None
        None means 1 and 0.
    """

    queries: np.ndarray
    exponents: np.ndarray
    database: np.ndarray
    factors: np.ndarray | None
    offsets: np.ndarray | None

    @classmethod
    def of(
        cls,
        query_values: np.ndarray,
        database_codes: np.ndarray,
        factors: np.ndarray | None = None,
        offsets: np.ndarray | None = None,
        n_bits: int | None = None,
    ) -> AsymmetricPair:
        """Check and prepare what `hashbench.evaluate` takes.

        Raises
        ------
        ValueError
            A shape, dtype or value is unusable, or a code has a bit beyond the queries' length.
        """
        values = _values(query_values)
        database, database_bits = as_packed(database_codes, "database_codes")
        length = values.shape[1]
        packed = np.asarray(database_codes).dtype == np.uint8
        fits = -(-length // 8) == database.shape[1] if packed else length == database_bits
        if not fits or n_bits not in (None, length):
            raise ValueError(
                f"query_codes have {length} values and database_codes {n_bits or database_bits} bits: "
                "expected a value for each bit"
            )
        refuse_bits_beyond(database, length, "database_codes")
        n = len(database)
        scaling = _per_row(factors, n, "database_factors"), _per_row(offsets, n, "database_offsets")
        with np.errstate(over="ignore"):
            sums = np.abs(values).sum(axis=1, keepdims=True)
            widest = 2 * (sums.max() * _largest(scaling[0], 1.0) + _largest(scaling[1], 0.0))
        if not np.isfinite(widest):
            raise ValueError("query_codes, database_factors and database_offsets give scores beyond float64's range")
        exponents = 52 - np.frexp(sums)[1]
        return cls(np.rint(np.ldexp(values, exponents)), exponents, database, *scaling)

    def scores(self, part: slice, first: int = 0, stop: int | None = None) -> np.ndarray:
        """Return scores of some queries against rows first to stop, float64.

        Without factors and offsets they are in each query's own unit, 2^-exponent.
        """
        queries = self.queries[part]
        stop = len(self.database) if stop is None else stop
        scores = np.empty((len(queries), stop - first))
        step = max(1, UNPACKED_BYTES // (8 * queries.shape[1]))
        twice = 2.0 * queries  # ⟨q, ±1⟩ = ⟨2 q, bits⟩ − Σ q for bits 0 and 1
        for start in range(first, stop, step):
            rows = slice(start, min(stop, start + step))
            bits = np.unpackbits(self.database[rows], axis=1, count=queries.shape[1]).astype(np.float64)
            np.matmul(twice, bits.T, out=scores[:, rows.start - first : rows.stop - first])
        scores -= queries.sum(axis=1, keepdims=True)
        if self.factors is not None or self.offsets is not None:
            np.ldexp(scores, -self.exponents[part], out=scores)
        if self.factors is not None:
            scores *= self.factors[first:stop]
        if self.offsets is not None:
            scores += self.offsets[first:stop]
        return scores


def _values(values: np.ndarray) -> np.ndarray:
    """Return real-valued queries as float64."""
    values = np.asarray(values)
    if values.dtype.kind != "f":
        raise ValueError(f"query_codes has dtype {values.dtype}, expected real values for distance='asymmetric'")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"query_codes has shape {values.shape}, expected (n_queries, n_bits), each at least 1")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"query_codes holds {values[row, column]} at ({row}, {column}), expected finite values")
    return values.astype(np.float64)


def _per_row(values: np.ndarray | None, n: int, name: str) -> np.ndarray | None:
    """Return a real number for each row of the database as float64."""
    if values is None:
        return None
    values = np.asarray(values)
    if values.shape != (n,) or values.dtype.kind not in "fiu":
        raise ValueError(f"{name} has shape {values.shape} and dtype {values.dtype}, expected ({n},) real values")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds {values[~np.isfinite(values)][0]} in row {np.argmin(np.isfinite(values))}")
    return values.astype(np.float64)


def _largest(values: np.ndarray | None, default: float) -> float:
    return np.float64(default) if values is None else np.abs(values).max()


def _query_blocks(n_queries: int, n_items: int) -> Iterator[slice]:
    step = max(1, min(QUERY_BLOCK, SCORE_BYTES // (8 * n_items)))
    for start in range(0, n_queries, step):
        yield slice(start, min(n_queries, start + step))


def per_query_values(
    pair: Scores, relevance: Relevance, wanted: Sequence[Metric], advance: Callable[[int], object]
) -> dict[str, np.ndarray]:
    """Return each metric's value for each query, ties in expectation.

    Parameters
    ----------
    pair : Scores
        Such as an `AsymmetricPair`.
    relevance : ByLabels or ByNeighbors
    wanted : sequence of Metric
    advance : callable
        Called with the number of queries after each block.

    Raises
    ------
    ValueError
        A metric counts items within a Hamming radius.
    """
    for metric in wanted:
        if metric.by_radius:
            raise ValueError(f"{metric} is within a Hamming radius: it does not go with distance='asymmetric'")
    parts: dict[str, list[np.ndarray]] = {str(metric): [] for metric in wanted}
    for block in _query_blocks(len(pair.queries), len(pair.database)):
        for histograms in _grouped(pair.scores(block), block, relevance, wanted):
            for metric in wanted:
                parts[str(metric)].append(values_of(metric, histograms))
        advance(block.stop - block.start)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _grouped(scores: np.ndarray, block: slice, relevance: Relevance, wanted: Sequence[Metric]) -> Iterator[Histograms]:
    """Yield histograms whose levels are each query's own groups of equal scores, a few queries at a time."""
    n_grades = relevance.n_grades(wanted)
    step = max(1, GROUP_BYTES // (8 * (n_grades + 2) * scores.shape[1]))
    for start in range(0, len(scores), step):
        some = scores[start : start + step]
        grades = relevance.grades(slice(block.start + start, block.start + start + len(some)), wanted)
        n_relevant = np.count_nonzero(grades, axis=1)
        room = min(scores.shape[1], 2 * int(n_relevant.max()) + 1)
        counts, n_groups = np.zeros((n_grades, len(some), room), np.int64), np.empty(len(some), np.int64)
        count_groups(some, grades, counts, n_groups)
        yield relevance.from_grades(counts[:, :, : int(n_groups.max())], wanted)


def nearest_asymmetric(
    query_values: np.ndarray,
    database_codes: np.ndarray,
    k: int,
    database_factors: np.ndarray | None = None,
    database_offsets: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k database rows with the highest scores factor · ⟨q, b⟩ + offset, equal scores by row.

    Parameters
    ----------
    query_values : ndarray of shape (n_queries, n_bits), float
        Such as a method's ``project(X)``.
    database_codes : ndarray of shape (n_database, ...)
        Packed uint8, bool or ±1; read in parts, so that it may be a memory-map.
    k : int
        1 to n_database.
    database_factors, database_offsets : ndarray of shape (n_database,), optional
        1 and 0 by default. With RaBitQ's estimate of the squared distance, a_i − c_i ⟨q, b_i⟩, they are c and −a.

    Returns
    -------
    rows : ndarray of shape (n_queries, k), int64
    scores : ndarray of shape (n_queries, k), float64

    Raises
    ------
    ValueError
        An argument has an unusable shape, dtype or content; the message names it.
    """
    pair = AsymmetricPair.of(query_values, database_codes, database_factors, database_offsets)
    n_queries, n_items = len(pair.queries), len(pair.database)
    if not 1 <= k <= n_items:
        raise ValueError(f"k={k}: expected 1 to {n_items}, the number of items")
    rows, best = np.empty((n_queries, k), np.int64), np.empty((n_queries, k))
    for block in _query_blocks(n_queries, 1):
        for first in range(0, n_items, NEAREST_STEP):
            scores = pair.scores(block, first, min(n_items, first + NEAREST_STEP))
            keep_best(scores, first, min(k, first), best[block], rows[block])
    if pair.factors is None and pair.offsets is None:
        best = np.ldexp(best, -pair.exponents)
    return rows, best
