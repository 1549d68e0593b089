"""By what two vectors are near: Euclidean distance, the angle between them, or their inner product."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashbench.errors import InputError

Similarity = Literal["euclidean", "cosine", "ip"]
SIMILARITIES: tuple[Similarity, ...] = ("euclidean", "cosine", "ip")
WORDS: dict[str, Similarity] = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "normalized": "euclidean",  # VIBE's word for vectors of length 1, of which both orders are one
    "cosine": "cosine",
    "angular": "cosine",
    "ip": "ip",
    "dot": "ip",
    "inner_product": "ip",
}
"""Names of similarities in files."""
SAID = {"euclidean": "Euclidean distance", "cosine": "cosine", "ip": "inner product"}
"""Names of similarities in messages."""


def unit_rows(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return vectors divided by their lengths.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float
    rows : ndarray of shape (n,), int64
        Their numbers, for the message.

    Returns
    -------
    ndarray of shape (n, d), float64

    Raises
    ------
    InputError
        A vector is all zeros.
    """
    exact = np.asarray(vectors, np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact))
    if not lengths.all():
        raise InputError(f"row {rows[int(np.argmin(lengths))]} is all zeros: it has no angle to others; leave it out")
    return exact / lengths[:, None]


def comparable(vectors: np.ndarray, rows: np.ndarray, similarity: Similarity) -> np.ndarray:
    """Return vectors as `between` compares them: float64, by cosine of length 1; as for `unit_rows`."""
    return unit_rows(vectors, rows) if similarity == "cosine" else np.asarray(vectors, np.float64)


def between(query: np.ndarray, items: np.ndarray, similarity: Similarity) -> np.ndarray:
    """Return how far items are from a query; equal items get equal values.

    Parameters
    ----------
    query : ndarray of shape (d,), float64
    items : ndarray of shape (n, d), float64
        Both from `comparable`.
    similarity : {"euclidean", "cosine", "ip"}

    Returns
    -------
    ndarray of shape (n,), float64
        Squared distances, of cosine those of the directions; of the inner product its negative.
    """
    if similarity == "ip":
        return -np.einsum("ij,ij->i", items, np.broadcast_to(query, items.shape))
    difference = items - query
    return np.einsum("ij,ij->i", difference, difference)


class Space:
    """Vectors as points whose Euclidean distances are in the order of a similarity.

    Points of cosine have length 1. Points of the inner product have one dimension more: √(L² − |x|²) in the database,
    L being its greatest length, and 0 in a query, so that ‖q − x‖² = ‖q‖² + L² − 2 ⟨q, x⟩ (Bachrach et al., RecSys
    2014). All points are moved so that the database is around 0, where float32 is finest; that changes no distance.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32 or a type whose values float32 holds
        Memory-mapped or not.
    database : ndarray of int64
        Rows of ``vectors``.
    similarity : {"euclidean", "cosine", "ip"}

    Raises
    ------
    InputError
        A vector that is all zeros is to be compared by cosine.
    """

    SAMPLE = 4096
    """Rows whose mean is taken for the middle: any point will do."""
    STEP_BYTES = 2**24

    def __init__(self, vectors: np.ndarray, database: np.ndarray, similarity: Similarity) -> None:
        self.vectors, self.similarity = vectors, similarity
        self.squared_length = self._greatest_squared_length(database) if similarity == "ip" else 0.0
        sample = self._points(database[:: max(1, len(database) // self.SAMPLE)], of_queries=False)
        centre = sample.mean(axis=0, dtype=np.float64)
        # As a value of the vectors' type: then most differences from it are exact in float32.
        self.centre = centre.astype(vectors.dtype) if similarity == "euclidean" else centre

    def points(self, rows: np.ndarray, *, of_queries: bool) -> np.ndarray:
        """Return points around 0, float32."""
        points = self._points(rows, of_queries)
        dtype = np.float32 if self.similarity == "euclidean" else np.float64
        return np.subtract(points, self.centre, dtype=dtype).astype(np.float32, copy=False)

    def exact(self, rows: np.ndarray) -> np.ndarray:
        """Return what `between` compares, float64."""
        return comparable(self._rows(rows), rows, self.similarity)

    def between(self, query: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return how far items are from a query, both from `exact`."""
        return between(query, items, self.similarity)

    def squared_distance(self, query: np.ndarray, value: float) -> float:
        """Return the squared distance of two points between which `between` is ``value``."""
        if self.similarity != "ip":
            return value
        return max(0.0, float(query @ query) + self.squared_length + 2 * value)

    def _points(self, rows: np.ndarray, of_queries: bool) -> np.ndarray:
        if self.similarity == "euclidean":
            return np.asarray(self._rows(rows))
        exact = self.exact(rows)
        if self.similarity == "cosine":
            return exact
        squared_extra = (
            np.zeros(len(exact)) if of_queries else self.squared_length - np.einsum("ij,ij->i", exact, exact)
        )
        return np.column_stack([exact, np.sqrt(squared_extra.clip(0))])

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the vectors; adjacent ones are not copied."""
        first, n = int(rows[0]), len(rows)
        together = int(rows[-1]) == first + n - 1 and np.array_equal(rows, np.arange(first, first + n))
        return self.vectors[first : first + n] if together else self.vectors[rows]

    def _greatest_squared_length(self, database: np.ndarray) -> float:
        greatest, step = 0.0, max(1, self.STEP_BYTES // (8 * self.vectors.shape[1]))
        for start in range(0, len(database), step):
            block = np.asarray(self._rows(database[start : start + step]), np.float64)
            greatest = max(greatest, float(np.einsum("ij,ij->i", block, block).max()))
        return greatest
