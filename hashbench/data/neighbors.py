"""True nearest neighbours: exact in float64 whatever library finds the candidates, and kept in the cache.

A library looks for candidates in float32, more of them than are wanted. Their distances are computed again in
float64, and a bound on float32's rounding says whether an item that is no candidate could be among the nearest; where
it could, the query is looked up again with more candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from hashbench.data.splits import Split
from hashbench.errors import InputError
from hashbench.files.cache import GrowingArray, cache_directory
from hashbench.files.hashing import canonical_hash
from hashbench.progress import progress

Distance = Literal["euclidean", "angular"]
Search = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Takes queries, database rows and k; returns the squared Euclidean distances and positions of the k nearest."""

VERSION = 1
"""Raised whenever the same data would give other neighbours."""
QUERY_STEP, LEAST_STEP = 2048, 64
"""Queries that are looked up, and kept, together: at most, and in a database of whatever size."""
STEP_WORK = 10**12
"""Multiplications between two results that are kept: about half a minute of one core."""
BLOCK_BYTES = 32 * 2**20
"""Size of the part of the database that is searched at a time."""
ROUNDING = 2.0**-24


def faiss_search(query: np.ndarray, database: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find candidates with faiss, by matrix products whatever the number of queries.

    Below a threshold of its own, for which all queries of a step may be too few, faiss compares pair by pair, which
    takes over four times as long.
    """
    import faiss

    threshold = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 0
    try:
        return faiss.knn(query, database, k)
    finally:
        faiss.cvar.distance_compute_blas_threshold = threshold


def sklearn_search(query: np.ndarray, database: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find candidates with scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    distances, items = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(database).kneighbors(query)
    return distances.astype(np.float64) ** 2, items


def default_search() -> Search:
    """Return faiss's search where faiss is installed, which is faster, else scikit-learn's."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        return sklearn_search
    return faiss_search


def true_neighbors(
    vectors: np.ndarray,
    query: np.ndarray,
    database: np.ndarray,
    k: int,
    *,
    distance: Distance = "euclidean",
    search: Search | None = None,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the exact nearest neighbours of each query.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32 or a type whose values float32 holds
        Memory-mapped or not; read in blocks.
    query, database : ndarray of int64
        Rows of ``vectors``.
    k : int
        At most the size of the database.
    distance : {"euclidean", "angular"}
        Angular is Euclidean between vectors that are divided by their lengths.
    search : callable, optional
        What finds candidates; `default_search`'s by default. The result does not depend on it.
    advance : callable
        Told the number of query-item pairs that were looked at, the first time.

    Returns
    -------
    ndarray of shape (n_query, k), int64
        Positions in ``database``, nearest first; of items at one distance (in float64), the lower position.

    Raises
    ------
    InputError
        A vector without a direction is to be compared by angle, or values are too large to be squared in float32.
    """
    search = search or default_search()
    out = np.empty((len(query), k), np.int64)
    todo, depth = np.arange(len(query)), min(2 * k + 56, len(database))
    while len(todo):
        own = _compared(vectors, query[todo], distance)
        positions, furthest = _candidates(own, vectors, database, depth, distance, search, advance)
        sure = np.ones(len(todo), bool)
        for i, row in enumerate(todo):
            candidates = np.sort(positions[i])
            squared = _squared_distances(vectors, query[row], database[candidates], distance)
            nearest = np.argsort(squared, kind="stable")[:k]
            out[row] = candidates[nearest]
            sure[i] = depth == len(database) or furthest[i] > _bound(own[i], squared[nearest[-1]])
        todo, depth = todo[~sure], min(4 * depth, len(database))
        advance = _silent
    return out


def cached_neighbors(
    vectors: np.ndarray, split: Split, k: int, distance: Distance, fingerprint: str, cache_dir: Path | None
) -> np.ndarray:
    """Return `true_neighbors` of a split's queries in its database, computed once.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32 or a type whose values float32 holds
    split : Split
    k : int
    distance : {"euclidean", "angular"}
    fingerprint : str
        Of the vectors' content.
    cache_dir : Path or None
        The user's own cache by default. Neighbours lie in its folder ``neighbors``; a killed computation goes on
        where it was.

    Returns
    -------
    ndarray of shape (n_query, k), int64
    """
    parts = [hashlib.sha256(np.ascontiguousarray(part, np.int64).data) for part in (split.query, split.database)]
    key = {"data": fingerprint, "k": k, "distance": distance, "version": VERSION}
    key |= {"query": parts[0].hexdigest(), "database": parts[1].hexdigest()}
    entry = GrowingArray(cache_directory(cache_dir) / "neighbors" / canonical_hash(key)[:32])
    n_query, n_database = len(split.query), len(split.database)
    queries_at_once = min(QUERY_STEP, max(LEAST_STEP, STEP_WORK // (n_database * vectors.shape[1])))
    done = (entry.manifest() or {"rows": 0})["rows"]
    with progress(f"true neighbours of {n_query:,} queries among {n_database:,}, pairs", n_query * n_database) as bar:
        bar.advance(done * n_database)

        def step(first: int) -> np.ndarray:
            query = split.query[first : first + queries_at_once]
            return true_neighbors(vectors, query, split.database, k, distance=distance, advance=bar.advance)

        data, _ = entry.ensure(n_query, step, {"key": key})
    return np.array(data)


def _silent(n: int) -> None:
    return None


def _compared(vectors: np.ndarray, rows: np.ndarray, distance: Distance) -> np.ndarray:
    """Return rows as they are compared, float32; rows that lie side by side are not copied."""
    first, n = int(rows[0]), len(rows)
    together = int(rows[-1]) == first + n - 1 and np.array_equal(rows, np.arange(first, first + n))
    chosen = vectors[first : first + n] if together else vectors[rows]
    return (chosen if distance == "euclidean" else _directions(chosen, rows)).astype(np.float32, copy=False)


def _directions(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return vectors of length 1, float64."""
    exact = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact))
    if not lengths.all():
        raise InputError(f"row {rows[int(np.argmin(lengths))]} is all zeros: it has no angle to others; leave it out")
    return exact / lengths[:, None]


def _candidates(
    own: np.ndarray,
    vectors: np.ndarray,
    database: np.ndarray,
    depth: int,
    distance: Distance,
    search: Search,
    advance: Callable[[int], object],
) -> tuple[np.ndarray, np.ndarray]:
    """Return each query's nearest positions by float32, unordered, and the squared distance of the furthest of them."""
    best: np.ndarray = np.empty((len(own), 0))
    positions: np.ndarray = np.empty((len(own), 0), np.int64)
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(database), step):
        block = _compared(vectors, database[start : start + step], distance)
        squared, items = search(own, block, min(depth, len(block)))
        best = np.concatenate([best, squared], axis=1)
        positions = np.concatenate([positions, items + start], axis=1)
        if best.shape[1] > depth:
            kept = np.argpartition(best, depth - 1, axis=1)[:, :depth]
            best, positions = (np.take_along_axis(array, kept, axis=1) for array in (best, positions))
        advance(len(own) * len(block))
    if not (best < np.finfo(np.float32).max).all():  # which is also what faiss gives for "none"
        raise InputError("the vectors' squared distances are beyond float32: divide the vectors by a constant")
    return positions, best.max(axis=1)


def _squared_distances(vectors: np.ndarray, query: int, items: np.ndarray, distance: Distance) -> np.ndarray:
    """Return exact squared distances of items to a query; equal items get equal values."""
    if distance == "euclidean":
        difference = vectors[items].astype(np.float64) - vectors[query]
    else:
        own = _directions(vectors[query : query + 1], np.array([query]))
        difference = _directions(vectors[items], items) - own
    return np.einsum("ij,ij->i", difference, difference)


def _bound(query: np.ndarray, squared: float) -> float:
    """Return what float32 may make of an item's squared distance, at most, that in truth is at most ``squared``.

    |q|² + |x|² − 2 q·x in float32 is off by at most about (d + 16) u (|q| + |x|)², and |x| ≤ |q| + |q − x|.
    """
    length = float(np.linalg.norm(query.astype(np.float64)))
    return squared + (len(query) + 16) * ROUNDING * (2 * length + np.sqrt(squared)) ** 2
