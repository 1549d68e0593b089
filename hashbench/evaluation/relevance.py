"""Relevance: items that share a query's labels, or its true nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hashbench.evaluation.counting import histograms as h
from hashbench.evaluation.counting.codes import CodePair
from hashbench.evaluation.metrics import Metric
from hashbench.evaluation.score_order import shared_labels


@dataclass(frozen=True)
class ByLabels:
    """Items of the query's class, or items that share a label with it, are relevant.

    Attributes
    ----------
    queries, database : ndarray
        int64 classes of shape (n,), or uint64 masks of shape (n, n_words).
    """

    queries: np.ndarray
    database: np.ndarray

    @classmethod
    def checked(
        cls,
        query_labels: np.ndarray,
        database_labels: np.ndarray,
        n_queries: int,
        n_database: int,
        n_labels: int | None = None,
    ) -> ByLabels:
        """Return labels of any form that `hashbench.evaluate` takes.

        Raises
        ------
        ValueError
            Labels have an unusable shape, dtype or content, or queries and database have different kinds of labels.
        """
        queries = _labels(query_labels, n_queries, "query_labels", n_labels)
        database = _labels(database_labels, n_database, "database_labels", n_labels)
        if queries.ndim != database.ndim or queries.shape[1:] != database.shape[1:]:
            raise ValueError(
                f"query_labels have shape {np.shape(query_labels)} and database_labels "
                f"{np.shape(database_labels)}: expected the same kind and number of labels"
            )
        return cls(queries, database)

    def take(self, rows: np.ndarray) -> ByLabels:
        """Return what is relevant among some rows of the database."""
        return ByLabels(self.queries, self.database[rows])

    def count(self, codes: CodePair, wanted: Sequence[Metric], advance: Callable[[int], object]) -> h.Histograms:
        """Return the distance histograms that the wanted metrics need."""
        shards = h.split_into_shards(codes.database, self.database)
        if self.queries.ndim == 1:
            return h.class_histograms(codes.queries, self.queries, shards, codes.n_bits, advance)
        graded = _graded(wanted)
        return h.mask_histograms(codes.queries, self.queries, shards, codes.n_bits, graded=graded, advance=advance)

    def n_grades(self, wanted: Sequence[Metric]) -> int:
        """Return how many values `grades` can have."""
        if self.queries.ndim == 1 or not _graded(wanted):
            return 2
        return max(2, int(np.bitwise_count(self.queries).sum(axis=1).max()) + 1)

    def grades(self, part: slice, wanted: Sequence[Metric]) -> np.ndarray:
        """Return each item's grade for some queries, uint16 of shape (n_queries, n_database); 0 is not relevant."""
        if self.queries.ndim == 1:
            return (self.queries[part, None] == self.database).astype(np.uint16)
        shared = np.empty((len(self.queries[part]), len(self.database)), np.uint16)
        shared_labels(self.queries[part], np.ascontiguousarray(self.database.T), shared)
        return shared if _graded(wanted) else np.minimum(shared, 1)

    def from_grades(self, counts: np.ndarray, wanted: Sequence[Metric]) -> h.Histograms:
        """Return histograms from items by grade, query and level."""
        relevant = counts[1:].sum(axis=0)
        several = self.queries.ndim == 2
        shared = np.ascontiguousarray(np.moveaxis(counts, 0, 2)) if several and _graded(wanted) else None
        return h.Histograms(counts.sum(axis=0), relevant, relevant.sum(axis=1), shared, several_labels=several)


@dataclass(frozen=True)
class ByNeighbors:
    """A query's true nearest neighbours are relevant.

    Attributes
    ----------
    rows : ndarray of shape (n_queries, k), int64
        Database rows, nearest first; −1 for one that is not in the database.
    n_database : int
    """

    rows: np.ndarray
    n_database: int

    @classmethod
    def checked(cls, neighbors: np.ndarray, n_queries: int, n_database: int) -> ByNeighbors:
        """Return neighbours given as any integers.

        Raises
        ------
        ValueError
            The shape or dtype is wrong, or a query's neighbours name a row that the database does not have, or one row
            twice.
        """
        neighbors = np.asarray(neighbors)
        if neighbors.ndim != 2 or len(neighbors) != n_queries or neighbors.dtype.kind not in "iu":
            raise ValueError(
                f"neighbors has shape {neighbors.shape} and dtype {neighbors.dtype}, expected integers ({n_queries}, k)"
            )
        if neighbors.size and (neighbors.min() < 0 or neighbors.max() >= n_database):
            odd = neighbors.min() if neighbors.min() < 0 else neighbors.max()
            raise ValueError(f"neighbors names row {odd}, the database has {n_database}")
        ordered = np.sort(neighbors, axis=1)
        twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        if twice.any():
            raise ValueError(f"neighbors names a database row twice for query {np.argmax(twice)}")
        return cls(neighbors.astype(np.int64), n_database)

    def take(self, rows: np.ndarray) -> ByNeighbors:
        """Return what is relevant among some rows of the database, numbered anew."""
        number = np.full(self.n_database, -1)
        number[rows] = np.arange(len(rows))
        return ByNeighbors(number[self.rows], len(rows))

    def depths(self, wanted: Sequence[Metric]) -> list[int]:
        """Return how many true neighbours the wanted metrics ask for, ascending.

        Raises
        ------
        ValueError
            A metric needs more true neighbours than there are.
        """
        asking = {metric.n_neighbors: metric for metric in wanted if metric.n_neighbors}
        deepest = max(asking, default=0)
        if deepest > self.rows.shape[1]:
            raise ValueError(f"{asking[deepest]} needs {deepest} neighbors, got {self.rows.shape[1]}")
        return sorted(asking)

    def count(self, codes: CodePair, wanted: Sequence[Metric], advance: Callable[[int], object]) -> h.Histograms:
        """Return the distance histograms that the wanted metrics need."""
        shards, depths = h.split_into_shards(codes.database, None), self.depths(wanted)
        return h.neighbor_histograms(codes.queries, self.rows, shards, codes.n_bits, depths=depths, advance=advance)

    def n_grades(self, wanted: Sequence[Metric]) -> int:
        """Return how many values `grades` can have."""
        return len(self.depths(wanted)) + 2

    def grades(self, part: slice, wanted: Sequence[Metric]) -> np.ndarray:
        """Return each item's grade for some queries, uint16 of shape (n_queries, n_database).

        0 is no neighbour, 1 one beyond every depth that is asked for, and each depth that it is within adds 1.
        """
        rows, depths = self.rows[part], self.depths(wanted)
        grades = np.zeros((len(rows), self.n_database), np.uint16)
        of_rank = 1 + (np.arange(rows.shape[1])[:, None] < np.array(depths, np.int64)).sum(axis=1)
        np.put_along_axis(grades, rows, of_rank[None].astype(np.uint16), axis=1)
        return grades

    def from_grades(self, counts: np.ndarray, wanted: Sequence[Metric]) -> h.Histograms:
        """Return histograms from items by grade, query and level."""
        depths = self.depths(wanted)
        relevant = counts[1:].sum(axis=0)
        nearest = {k: counts[len(depths) + 1 - i :].sum(axis=0) for i, k in enumerate(depths)}
        return h.Histograms(counts.sum(axis=0), relevant, relevant.sum(axis=1), nearest=nearest)


Relevance = ByLabels | ByNeighbors


def _graded(wanted: Sequence[Metric]) -> bool:
    """Whether a metric needs to know how many labels are shared."""
    return any(metric.graded for metric in wanted)


def relevance_of(
    query_labels: np.ndarray | None,
    database_labels: np.ndarray | None,
    neighbors: np.ndarray | None,
    n_labels: int | None,
    n_queries: int,
    n_database: int,
) -> Relevance:
    """Return relevance by neighbours where they are given, else by labels.

    Raises
    ------
    ValueError
        Neither neighbours nor both kinds of labels are given, or they are unusable.
    """
    if neighbors is not None:
        return ByNeighbors.checked(neighbors, n_queries, n_database)
    if query_labels is None or database_labels is None:
        raise ValueError("give query_labels and database_labels, or neighbors")
    return ByLabels.checked(query_labels, database_labels, n_queries, n_database, n_labels)


def masks_of(labels: np.ndarray) -> np.ndarray:
    """Return a bool label matrix (n, n_labels) as uint64 bit masks (n, ceil(n_labels / 64))."""
    n, n_labels = labels.shape
    padded = np.zeros((n, -(-n_labels // 64) * 64), bool)
    padded[:, :n_labels] = labels
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _labels(labels: np.ndarray, n: int, name: str, n_labels: int | None) -> np.ndarray:
    """Return int64 classes (n,) or uint64 masks (n, n_words)."""
    labels = np.asarray(labels)
    if labels.ndim not in (1, 2) or len(labels) != n:
        raise ValueError(f"{name} has shape {labels.shape}, expected ({n},) or ({n}, n_labels)")
    if labels.ndim == 1:
        if labels.dtype.kind not in "iu":
            raise ValueError(f"{name} has dtype {labels.dtype}, expected integers")
        return labels.astype(np.int64)
    if labels.dtype == np.uint64:
        if n_labels is not None:
            _refuse_bits_beyond(labels, n_labels, name)
        return np.ascontiguousarray(labels)
    if n_labels is not None and labels.shape[1] != n_labels:
        raise ValueError(f"{name} has shape {labels.shape}, expected ({n}, {n_labels})")
    if labels.dtype != bool:
        if labels.dtype.kind not in "iuf" or not np.isin(labels, (0, 1)).all():
            raise ValueError(f"{name} has dtype {labels.dtype}, expected a matrix of 0 and 1, or uint64 masks")
        labels = labels.astype(bool)
    return masks_of(labels)


def _refuse_bits_beyond(masks: np.ndarray, n_labels: int, name: str) -> None:
    """Raise if a mask has a bit at or beyond ``n_labels``, or another width than that many labels need."""
    if masks.shape[1] != -(-n_labels // 64):
        raise ValueError(f"{name} has shape {masks.shape}, expected ({len(masks)}, {-(-n_labels // 64)}) words")
    beyond = masks[:, -1] >> np.uint64((n_labels - 1) % 64) > 1
    if beyond.any():
        row = int(np.argmax(beyond))
        label = 64 * (masks.shape[1] - 1) + int(masks[row, -1]).bit_length() - 1
        raise ValueError(f"{name} has label {label} in row {row}, expected labels 0 to {n_labels - 1}")
