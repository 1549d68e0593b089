"""Queries whose vectors nearly equal one of the database: a hint that an image is there in another form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hashbench.data.leaks.finding import Finding

NEAR = 0.05
"""A distance that is near, in root mean square distances of the vectors from their mean."""
QUERIES, OTHERS = 1024, 8192
"""Vectors that are compared at once."""


def nearest(vectors: np.ndarray, query: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each query's nearest vector among others and how far it is, exhaustively.

    The nearest is found in float32, its distance is computed in float64. Memory is that of two blocks of vectors and
    their distances, whatever the numbers.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        May be a memory-map.
    query, other : ndarray of shape (m,), int64
        Rows of the vectors.

    Returns
    -------
    positions : ndarray of shape (n_query,), int64
        In ``other``.
    distances : ndarray of shape (n_query,), float64
        Euclidean, in root mean square distances of the others from their mean; 0 where all of them are equal.
    """
    middle = sum(block.sum(axis=0, dtype=np.float64) for _, block in _blocks(vectors, other, OTHERS)) / len(other)
    positions, distances, spread = np.zeros(len(query), np.int64), np.full(len(query), np.inf), 0.0
    for start, block in _blocks(vectors, other, OTHERS):
        centred = (block - middle).astype(np.float32)
        squares = np.einsum("ij,ij->i", centred, centred)
        spread += float(squares.sum(dtype=np.float64))
        for first, asked in _blocks(vectors, query, QUERIES):
            apart = squares - 2 * ((asked - middle).astype(np.float32) @ centred.T)  # less the query's own square
            at = np.argmin(apart, axis=1)
            least = apart[np.arange(len(at)), at]
            rows = first + np.flatnonzero(least < distances[first : first + len(at)])
            positions[rows], distances[rows] = at[rows - first] + start, least[rows - first]
    for first, asked in _blocks(vectors, query, QUERIES):
        found = vectors[other[positions[first : first + len(asked)]]].astype(np.float64)
        distances[first : first + len(asked)] = np.linalg.norm(asked - found, axis=1)
    scale = np.sqrt(spread / len(other))
    return positions, distances / scale if scale else np.zeros(len(query))


def near_findings(vectors: np.ndarray, query: np.ndarray, other: np.ndarray, part: str = "database") -> list[Finding]:
    """Return how many queries nearly equal a vector of another part without being equal to it: a hint.

    Parameters
    ----------
    vectors, query, other
        See `nearest`.
    part : str
        What a line calls the other part.
    """
    positions, distances = nearest(vectors, query, other)
    near = (distances > 0) & (distances <= NEAR)
    if not near.any():
        return []
    at = int(np.argmin(np.where(near, distances, np.inf)))
    return [
        Finding(
            f"hint: {np.count_nonzero(near):,} of {len(query):,} queries nearly equal a vector of the {part} (query "
            f"{at} and {part} {positions[at]} the nearest, {distances[at]:.2g} of the vectors' spread apart): the same "
            "images in another form?"
        )
    ]


def _blocks(vectors: np.ndarray, rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(rows), size):
        yield start, vectors[rows[start : start + size]]
