"""Anchor graphs: what AGH and DGH are built on (Liu et al., ICML 2011 and NIPS 2014).

Everything reads ``X`` in blocks, so that it may be a memory-map far larger than memory.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numba import float64, int64, njit, types, void
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from hashbench.errors import Unsupported
from hashbench.files.compiled import give_numba_a_cache
from hashbench.learning.linear import NULL, blocks, refuse_constant
from hashbench.method import BLOCK_ROWS

TRIVIAL = 1e-3
KMEANS_ITERATIONS = 10
EPS, SMALLEST, LARGEST = (float(getattr(np.finfo(np.float32), name)) for name in ("eps", "tiny", "max"))
"""Of float32."""
ROWS = types.Array(types.float32, 2, "C", readonly=True)

give_numba_a_cache(Path(__file__).parent)


def find_anchors(
    X: np.ndarray, n_anchors: int, n_neighbors: int, method: str, random_state: int | None
) -> tuple[np.ndarray, float, csr_array]:
    """Place anchors by k-means and set the kernel's width.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    n_anchors, n_neighbors : int
        Number of anchors, and of nearest anchors that a point is tied to.
    method : str
        Who asks, for the error messages.
    random_state : int or None

    Returns
    -------
    anchors : ndarray of shape (m, d), float32
        m ≤ n_anchors: anchors that coincide, or that no point is tied to, are left out.
    width : float
        Mean distance to the ``n_neighbors``-th nearest anchor.
    Z : scipy.sparse.csr_array of shape (n, m), float64
        `anchor_weights` of ``X``.

    Raises
    ------
    Unsupported
        A number is out of its range for this data.

    Notes
    -----
    Ten Lloyd iterations from random rows: anchors need to cover the data, not to be optimal. One thread,
    because scikit-learn adds the threads' partial sums up in the order in which they finish.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    if not 1 <= n_anchors <= len(X):
        raise Unsupported(f"n_anchors={n_anchors}: {method} needs 1 to {len(X)}, the number of training rows")
    if not 1 <= n_neighbors <= n_anchors:
        raise Unsupported(f"n_neighbors={n_neighbors}: {method} needs 1 to {n_anchors}, the number of anchors")
    refuse_constant(X, method)
    kmeans = KMeans(n_anchors, init="random", n_init=1, max_iter=KMEANS_ITERATIONS, random_state=random_state)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than anchors
        anchors = _different(np.unique(kmeans.fit(X).cluster_centers_, axis=0))
    if n_neighbors > len(anchors):
        raise Unsupported(f"n_neighbors={n_neighbors}: {method} finds only {len(anchors)} different anchors")
    nearest, squared = _nearest_by_product(X, anchors.astype(np.float64), n_neighbors)
    used, nearest = np.unique(nearest, return_inverse=True)
    width = float(np.sqrt(squared.max(axis=1)).mean())
    Z = _weights(nearest.reshape(squared.shape), squared, width, len(used))
    return anchors[used], width, Z


def _different(anchors: np.ndarray) -> np.ndarray:
    """Return the anchors without those that coincide with an earlier one up to the rounding of a mean in float32."""
    rounding = 16 * EPS * np.linalg.norm(anchors.astype(np.float64), axis=1).max()
    return anchors[~np.triu(cdist(anchors, anchors) <= rounding, 1).any(axis=0)]


def anchor_weights(X: np.ndarray, anchors: np.ndarray, n_neighbors: int, width: float) -> csr_array:
    """Return Z: each row's affinities exp(−d²/width²) to its nearest anchors, divided by their sum.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    anchors : ndarray of shape (m, d), float32
    n_neighbors : int
    width : float

    Returns
    -------
    scipy.sparse.csr_array of shape (n, m), float64
        ``n_neighbors`` entries in a row, which add up to 1.
    """
    nearest, squared = _nearest_anchors(X, anchors, n_neighbors)
    return _weights(nearest, squared, width, len(anchors))


def _nearest_by_product(X, anchors, n_neighbors):
    """Return the indices and squared distances of each row's nearest anchors, both (n, n_neighbors), in any order.

    All distances are products in float64. Where a graph has several components, an eigenvector outside its own is
    rounding, so that distances which differ in their last bits would give other codes.
    """
    nearest = np.empty((len(X), n_neighbors), np.int64)
    squared = np.empty((len(X), n_neighbors))
    anchor_norms = np.einsum("ij,ij->i", anchors, anchors)
    for number, block in enumerate(blocks(X)):
        rows = block.astype(np.float64)
        here = slice(number * BLOCK_ROWS, number * BLOCK_ROWS + len(rows))
        distances = rows @ anchors.T
        distances *= -2
        distances += anchor_norms
        distances += np.einsum("ij,ij->i", rows, rows)[:, None]
        nearest[here] = np.argpartition(distances, n_neighbors - 1, axis=1)[:, :n_neighbors]
        squared[here] = np.take_along_axis(distances, nearest[here], axis=1)
    return nearest, np.maximum(squared, 0)


def _nearest_anchors(X, anchors, n_neighbors):
    """Return the indices and squared distances of each row's nearest anchors, both (n, n_neighbors), nearest first.

    A float32 product proposes anchors; those that rounding may have put in their place are measured in float64.
    """
    nearest = np.zeros((len(X), n_neighbors), np.int64)
    squared = np.empty((len(X), n_neighbors))
    anchors = np.ascontiguousarray(anchors, np.float32)
    for number, block in enumerate(blocks(X)):
        rows = np.ascontiguousarray(block)
        here = slice(number * BLOCK_ROWS, number * BLOCK_ROWS + len(rows))
        with np.errstate(over="ignore", invalid="ignore"):
            products = rows @ anchors.T
        _choose(rows, anchors, products, nearest[here], squared[here])
    return nearest, squared


@njit
def _keep_least(value, index, values, indices):
    """Put a value into an ascending list, whose last one is dropped; equal values stay in the order they came."""
    if not value < values[-1]:
        return
    at = len(values) - 1
    while at > 0 and value < values[at - 1]:
        values[at], indices[at] = values[at - 1], indices[at - 1]
        at -= 1
    values[at], indices[at] = value, index


@njit
def _find_least(values, least, indices):
    least[:] = np.inf
    greatest = np.inf
    for j in range(len(values)):
        if values[j] < greatest:
            _keep_least(values[j], j, least, indices)
            greatest = least[-1]


@njit(fastmath={"reassoc", "contract"})
def _squared_length(x):
    total = 0.0
    for k in range(len(x)):
        value = np.float64(x[k])
        total += value * value
    return total


@njit(fastmath={"reassoc", "contract"})
def _squared_distance(x, y):
    total = 0.0
    for k in range(len(x)):
        gap = np.float64(x[k]) - np.float64(y[k])
        total += gap * gap
    return total


# With its types, it is compiled or read from the cache when this module is imported, whatever arrays come later. One
# thread: threads of numba and of BLAS that take turns wait for each other.
@njit(void(ROWS, ROWS, ROWS, int64[:, ::1], float64[:, ::1]), nogil=True, cache=True)
def _choose(X, anchors, products, nearest, squared):
    """Write each row's nearest anchors and their squared distances, the lower index first where two are equal.

    The rounding of a product is bounded as in `hashbench.learning.linear.rounding_slack`, with room for products so
    small that float32 drops them. Where float32 may overflow, all anchors are measured.
    """
    n_anchors, d = anchors.shape
    lengths, rough, candidates = np.empty(n_anchors), np.empty(n_anchors), np.empty(n_anchors, np.int64)
    for j in range(n_anchors):
        lengths[j] = _squared_length(anchors[j])
    longest = np.sqrt(lengths.max())
    relative, dropped = 4 * (2 + np.sqrt(d) / 8) * EPS, 4 * d * SMALLEST
    for i in range(len(X)):
        row, product, distances, indices = X[i], products[i], squared[i], nearest[i]
        for j in range(n_anchors):
            rough[j] = lengths[j] - 2 * product[j]
        _find_least(rough, distances, indices)
        reach = np.sqrt(_squared_length(row)) * longest
        limit = distances[-1] + relative * reach + dropped if reach < LARGEST / 2 else np.inf
        n_candidates = 0
        for j in range(n_anchors):  # without a branch, which would cost more than the comparison
            candidates[n_candidates] = j
            n_candidates += not rough[j] > limit
        distances[:] = np.inf
        for j in candidates[:n_candidates]:
            _keep_least(_squared_distance(row, anchors[j]), j, distances, indices)


def _weights(nearest, squared, width, n_anchors):
    """Return Z; distances beyond the nearest one's, so that a far point's weights don't all underflow."""
    beyond = squared - squared.min(axis=1, keepdims=True)
    weights = np.exp(-beyond / max(width**2, np.finfo(np.float64).tiny))
    weights /= weights.sum(axis=1, keepdims=True)
    n, s = nearest.shape
    return csr_array((weights.ravel(), nearest.ravel(), np.arange(0, n * s + 1, s)), shape=(n, n_anchors))


def graph_eigenvectors(Z: csr_array, n_vectors: int, request: str) -> tuple[np.ndarray, np.ndarray]:
    """Return leading non-trivial eigenvectors of the anchor graph A = ZΛ⁻¹Zᵀ, as a map from Z.

    Parameters
    ----------
    Z : scipy.sparse.csr_array of shape (n, m)
    n_vectors : int
    request : str
        Who asks and for what, to begin the error message with: ``"n_bits=64: AGH"``.

    Returns
    -------
    W : ndarray of shape (m, n_vectors), float64
        √n Λ^-½ V Σ^-½: Z @ W holds eigenvectors of norm √n, orthogonal to each other and to the ones.
    eigenvalues : ndarray of shape (n_vectors,), float64
        Falling. Those above 1 − 1e-3 only tell connected components apart and are dropped.

    Raises
    ------
    Unsupported
        There are fewer eigenvectors than that.
    """
    sizes = Z.sum(axis=0)
    scale = 1 / np.sqrt(sizes)
    values, vectors = np.linalg.eigh((Z.T @ Z).toarray() * scale[:, None] * scale)
    usable = np.flatnonzero((values > NULL) & (values < 1 - TRIVIAL))[::-1]
    if n_vectors > len(usable):
        raise Unsupported(
            f"{request} needs {n_vectors} eigenvectors of the anchor graph, {len(usable)} of {len(values)} are "
            f"usable (eigenvalue above 0, below {1 - TRIVIAL}); fewer bits or more anchors may do"
        )
    values, vectors = values[usable[:n_vectors]], vectors[:, usable[:n_vectors]]
    return np.sqrt(Z.shape[0] / values) * scale[:, None] * vectors, values
