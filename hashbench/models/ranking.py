"""Nearest items of queries: by Hamming distance, real-valued queries, a quantizer's distance, and again by vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hashbench.contract.quantizer import Quantizer
from hashbench.data.similarity import Similarity, between, comparable
from hashbench.errors import InputError
from hashbench.evaluation.asymmetric import nearest_asymmetric
from hashbench.evaluation.counting import kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.files.cores import one_core

Nearest = Callable[[slice, int], tuple[np.ndarray, np.ndarray]]
"""Gives, for some of the queries, the rows of their k nearest items and the distances, (n, k) each, nearest first."""


def by_hamming(queries: np.ndarray, database: np.ndarray, n_bits: int) -> Nearest:
    """Return a search by Hamming distance, int32; ties in the database's order.

    Parameters
    ----------
    queries, database : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int
    """
    words = word_major(database)
    return lambda part, k: kernels.nearest(item_words(queries[part]), words, n_bits, k)


def by_values(values: np.ndarray, database: np.ndarray) -> Nearest:
    """Return a search by real-valued queries; ties in the database's order.

    The distance adds up the absolute values of those of the query whose sign an item does not share: Hamming distance
    where all are 1 or −1.

    Parameters
    ----------
    values : ndarray of shape (n_queries, n_bits), float64
    database : ndarray of shape (n, ceil(n_bits / 8)), uint8
    """

    def nearest(part: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
        rows, scores = nearest_asymmetric(values[part], database, k)
        return rows, (np.abs(values[part]).sum(axis=1, keepdims=True) - scores) / 2

    return nearest


def by_quantizer(
    quantizer: Quantizer, queries: np.ndarray, codes: np.ndarray, similarity: Similarity = "euclidean"
) -> Nearest:
    """Return a quantizer's search, with its distances; the quantizer decides which of equal items it takes.

    It has one thread, as in a run: the last bits of its distances decide between near items.

    Parameters
    ----------
    quantizer : Quantizer
    queries : ndarray of shape (n_queries, n_features), float
    codes : ndarray of shape (n, n_bytes), uint8
    similarity : {"euclidean", "cosine", "ip"}
        By cosine, queries are to have length 1; the distances of the inner product are its negative.
    """
    with one_core():
        search = quantizer.searcher(codes, similarity)

    def nearest(part: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
        some = np.ascontiguousarray(queries[part], np.float32)
        with one_core():
            rows = search(some, k)
            distances = [
                quantizer.compared(query[None], codes[found], similarity)[0]
                for query, found in zip(some, rows, strict=True)
            ]
        return _in_order(rows, np.stack(distances))

    return nearest


def rescored(
    nearest: Nearest,
    queries: np.ndarray,
    vectors: np.ndarray,
    path: Path,
    factor: int,
    similarity: Similarity = "euclidean",
) -> Nearest:
    """Return a search that ranks more candidates than asked for again, by their vectors.

    Distances are float64: squared Euclidean ones, 1 less the cosine, or the negative inner product.

    Parameters
    ----------
    nearest : callable
        Gives the candidates.
    queries : ndarray of shape (n_queries, n_features), float
    vectors : ndarray of shape (n, n_features), float
        The database's vectors, of which only the candidates' are read.
    path : Path
        Their file.
    factor : int
        How many times as many candidates are taken as neighbours are asked for.
    similarity : {"euclidean", "cosine", "ip"}

    Raises
    ------
    InputError
        The search meets a candidate whose vector holds NaN or infinite values, or has no angle to others.
    """

    def again(part: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
        rows, _ = nearest(part, min(factor * k, len(vectors)))
        distances = np.empty(rows.shape)
        compared_queries = comparable(queries[part], np.arange(part.start, part.stop), similarity)
        for query, found, out in zip(compared_queries, rows, distances, strict=True):
            out[:] = between(query, comparable(vectors[found], found, similarity), similarity)
        distances /= 2 if similarity == "cosine" else 1  # |a − b|² = 2 − 2 ⟨a, b⟩ where both have length 1
        if not np.isfinite(distances).all():
            raise InputError(f"{path}: row {rows[~np.isfinite(distances)][0]} holds NaN or infinite values")
        rows, distances = _in_order(rows, distances)
        return rows[:, :k], distances[:, :k]

    return again


def _in_order(rows: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and distances, nearest first, equal distances by row."""
    order = np.lexsort((rows, distances), axis=1)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
