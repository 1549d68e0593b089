"""True nearest neighbours: exact in float64 whatever library finds the candidates, and kept in the cache.

A library looks for candidates in float32, more of them than are wanted. Their distances are computed again in
float64, and a bound on float32's rounding says whether an item that is no candidate could be among the nearest; where
it could, the query is looked up again with more candidates, and then compared with all items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hashbench.data.similarity import Similarity, Space
from hashbench.data.splits import Split
from hashbench.errors import InputError
from hashbench.files.cache import GrowingArray, cache_directory
from hashbench.files.hashing import canonical_hash
from hashbench.progress import progress

Search = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Takes queries, database rows and k; returns the squared Euclidean distances and positions of the k nearest."""

VERSION = 1
"""Increased whenever the same data would give other neighbours."""
QUERY_STEP, LEAST_STEP = 2048, 64
"""Queries that are looked up, and kept, together: at most, and in a database of whatever size."""
STEP_WORK = 10**12
"""Multiplications between two results that are kept: about half a minute of one core."""
BLOCK_BYTES = 32 * 2**20
"""Size of the part of the database that is searched at a time."""
ROUNDING = 2.0**-24
DEPTHS = (1, 8)
"""How many times as many candidates as at first are looked for; what they leave in doubt is compared with all items."""
CANDIDATES = 2**20
"""Candidates of all queries that are looked up at once: some 20 MB."""
EXHAUSTIVE_QUERIES, EXACT_BYTES = 256, 2**20
"""Queries that are compared with all items at once, and the size of the items that one is compared with at a time."""


def faiss_search(query: np.ndarray, database: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find candidates with faiss, by matrix products whatever the number of queries.

    Below its own threshold, for which all queries of a step may be too few, faiss compares pair by pair, which
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
    similarity: Similarity = "euclidean",
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
    similarity : {"euclidean", "cosine", "ip"}
        By cosine, the nearest have the smallest angle; by the inner product, the greatest product.
    search : callable, optional
        What finds candidates; `default_search`'s by default. The result does not depend on it.
    advance : callable
        Called with the number of query-item pairs that were looked at, the first time.

    Returns
    -------
    ndarray of shape (n_query, k), int64
        Positions in ``database``, nearest first; of items that are equally near (in float64), the lower position.

    Raises
    ------
    InputError
        A vector without a direction is to be compared by angle, or values are too large to be squared in float32.
    """
    search = search or default_search()
    space = Space(vectors, database, similarity)
    out = np.empty((len(query), k), np.int64)
    todo = np.arange(len(query))
    for factor in DEPTHS:
        depth, doubtful = min(factor * (2 * k + 56), len(database)), []
        at_once = max(1, CANDIDATES // depth)
        for start in range(0, len(todo), at_once):
            some = todo[start : start + at_once]
            doubtful.append(some[~_by_candidates(space, query, some, database, depth, search, advance, out)])
        todo = np.concatenate(doubtful) if doubtful else todo
        advance = _silent
    for start in range(0, len(todo), EXHAUSTIVE_QUERIES):
        some = todo[start : start + EXHAUSTIVE_QUERIES]
        out[some] = _among_all(space, query[some], database, k)
    return out


def cached_neighbors(
    vectors: np.ndarray, split: Split, k: int, similarity: Similarity, fingerprint: str, cache_dir: Path | None
) -> np.ndarray:
    """Return `true_neighbors` of a split's queries in its database, computed once.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32 or a type whose values float32 holds
    split : Split
    k : int
    similarity : {"euclidean", "cosine", "ip"}
    fingerprint : str
        Of the vectors' content.
    cache_dir : Path or None
        The user's own cache by default. Neighbours are kept in its folder ``neighbors``; a killed computation goes on
        where it was.

    Returns
    -------
    ndarray of shape (n_query, k), int64
    """
    parts = [hashlib.sha256(np.ascontiguousarray(part, np.int64).data) for part in (split.query, split.database)]
    key = {"data": fingerprint, "k": k, "distance": similarity, "version": VERSION}
    key |= {"query": parts[0].hexdigest(), "database": parts[1].hexdigest()}
    entry = GrowingArray(cache_directory(cache_dir) / "neighbors" / canonical_hash(key)[:32])
    n_query, n_database = len(split.query), len(split.database)
    queries_at_once = min(QUERY_STEP, max(LEAST_STEP, STEP_WORK // (n_database * vectors.shape[1])))
    done = (entry.manifest() or {"rows": 0})["rows"]
    title = f"true neighbours of {n_query:,} queries among {n_database:,}, pairs"
    with progress(title, n_query * n_database, done * n_database) as bar:

        def step(first: int) -> np.ndarray:
            query = split.query[first : first + queries_at_once]
            return true_neighbors(vectors, query, split.database, k, similarity=similarity, advance=bar.advance)

        data, _ = entry.ensure(n_query, step, {"key": key})
    return np.array(data)


def _silent(n: int) -> None:
    return None


def _by_candidates(
    space: Space,
    query: np.ndarray,
    some: np.ndarray,
    database: np.ndarray,
    depth: int,
    search: Search,
    advance: Callable[[int], object],
    out: np.ndarray,
) -> np.ndarray:
    """Write the nearest neighbours of some queries into ``out``; return of which they are sure."""
    points = space.points(query[some], of_queries=True)
    positions, furthest = _candidates(points, space, database, depth, search, advance)
    sure, k = np.ones(len(some), bool), out.shape[1]
    for i, (row, own) in enumerate(zip(some, space.exact(query[some]), strict=True)):
        candidates = np.sort(positions[i])
        values = space.between(own, space.exact(database[candidates]))
        nearest = np.argsort(values, kind="stable")[:k]
        out[row] = candidates[nearest]
        beyond = _bound(points[i], space.squared_distance(own, float(values[nearest[-1]])))
        sure[i] = depth == len(database) or furthest[i] > beyond
    return sure


def _candidates(
    points: np.ndarray,
    space: Space,
    database: np.ndarray,
    depth: int,
    search: Search,
    advance: Callable[[int], object],
) -> tuple[np.ndarray, np.ndarray]:
    """Return each query's nearest positions by float32, unordered, and the squared distance of the furthest of them."""
    best: np.ndarray = np.empty((len(points), 0), np.float32)
    positions: np.ndarray = np.empty((len(points), 0), np.int64)
    step = max(1, BLOCK_BYTES // (4 * points.shape[1]))
    for start in range(0, len(database), step):
        block = space.points(database[start : start + step], of_queries=False)
        squared, items = search(points, block, min(depth, len(block)))
        best = np.concatenate([best, squared], axis=1)
        positions = np.concatenate([positions, items + start], axis=1)
        if best.shape[1] > depth:
            kept = np.argpartition(best, depth - 1, axis=1)[:, :depth]
            best, positions = (np.take_along_axis(array, kept, axis=1) for array in (best, positions))
        advance(len(points) * len(block))
    if not (best < np.finfo(np.float32).max).all():  # which is also what faiss gives for "none"
        raise InputError("the vectors' squared distances are beyond float32: divide the vectors by a constant")
    return positions, best.max(axis=1)


def _bound(point: np.ndarray, squared: float) -> float:
    """Return what float32 may make of an item's squared distance, at most, that in truth is at most ``squared``.

    |q|² + |x|² − 2 q·x in float32, of points that float32 has rounded, is off by at most about (d + 20) u (|q| + |x|)²,
    and |x| ≤ |q| + |q − x|.
    """
    length = float(np.linalg.norm(point.astype(np.float64)))
    return squared + (len(point) + 20) * ROUNDING * (2 * length + np.sqrt(squared)) ** 2


def _among_all(space: Space, query: np.ndarray, database: np.ndarray, k: int) -> np.ndarray:
    """Return the nearest of all positions by distances in float64 alone, where candidates could not decide."""
    queries = space.exact(query)
    best = [np.empty(0)] * len(query)
    positions = [np.empty(0, np.int64)] * len(query)
    step = max(1, EXACT_BYTES // (8 * queries.shape[1]))
    for start in range(0, len(database), step):
        block = space.exact(database[start : start + step])
        for i, own in enumerate(queries):
            values = space.between(own, block)
            known = np.concatenate([best[i], values])
            limit = np.partition(known, k - 1)[k - 1] if len(known) > k else np.inf
            at = np.flatnonzero(known <= limit)
            at = at[np.argsort(known[at], kind="stable")[:k]]
            places = np.concatenate([positions[i], np.arange(start, start + len(values))])
            best[i], positions[i] = known[at], places[at]
    return np.stack(positions)
