"""Queries whose vectors nearly equal one of the database: a hint that an image is there in another form."""

from __future__ import annotations

import numpy as np

from hashbench.data.leaks.finding import Finding
from hashbench.data.neighbors import true_neighbors
from hashbench.progress import progress

NEAR = 0.05
"""A distance that is near, in root mean square distances of the vectors from their mean."""
BLOCK = 8192
"""Vectors that are looked at at once."""


def near_findings(
    vectors: np.ndarray, query: np.ndarray, database: np.ndarray, nearest: np.ndarray | None = None
) -> list[Finding]:
    """Return how many queries nearly equal a vector of the database without being equal to it: a hint.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        May be a memory-map.
    query, database : ndarray of shape (m,), int64
        Rows of the vectors.
    nearest : ndarray of shape (n_query,), int64, optional
        Each query's nearest by Euclidean distance, as positions in ``database``, where they are known.
    """
    if nearest is None:
        title = f"nearest vectors of {len(query):,} queries among {len(database):,}, pairs"
        with progress(title, len(query) * len(database)) as bar:
            nearest = true_neighbors(vectors, query, database, 1, advance=bar.advance)[:, 0]
    distances = np.empty(len(query))
    for start in range(0, len(query), BLOCK):
        part = slice(start, start + BLOCK)
        apart = vectors[query[part]].astype(np.float64) - vectors[database[nearest[part]]]
        distances[part] = np.linalg.norm(apart, axis=1)
    distances /= spread(vectors, database) or np.inf
    near = (distances > 0) & (distances <= NEAR)
    if not near.any():
        return []
    at = int(np.argmin(np.where(near, distances, np.inf)))
    return [
        Finding(
            f"hint: {np.count_nonzero(near):,} of {len(query):,} queries nearly equal a vector of the database (query "
            f"{at} and database {nearest[at]} the nearest, {distances[at]:.2g} of the vectors' spread apart): the same "
            "images in another form?"
        )
    ]


def spread(vectors: np.ndarray, rows: np.ndarray) -> float:
    """Return the root mean square distance of some vectors from their mean."""
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    middle = sum(vectors[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(rows)
    return float(np.sqrt(sum(np.square(vectors[block] - middle).sum() for block in blocks) / len(rows)))
