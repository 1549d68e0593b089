"""Anchor graphs: what AGH and DGH are built on (Liu et al., ICML 2011 and NIPS 2014).

Everything reads ``X`` in blocks, so that it may be a memory-map far larger than memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import float64, int64, njit, void
from scipy.sparse import csr_array

from hashbench.contract.values import BLOCK_ROWS
from hashbench.errors import Unsupported
from hashbench.files.compiled import give_numba_a_cache
from hashbench.learning.linear import NULL, blocks, refuse_constant
from hashbench.learning.portable.decisions import ROWS, rounding
from hashbench.learning.portable.eigen import leading_eigenvectors
from hashbench.learning.portable.exact import falling_exponential
from hashbench.learning.portable.lanes import SUMS, dot, squared_distance

TRIVIAL = 1e-3
KMEANS_ITERATIONS = 10
EPS = float(np.finfo(np.float32).eps)

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
        A number of anchors or neighbours is out of its range for this data.

    Notes
    -----
    Ten Lloyd iterations from random rows: anchors need to cover the data, not to be optimal. Distances and means are
    those of `portable`, so that all processors find the same anchors.
    """
    if not 1 <= n_anchors <= len(X):
        raise Unsupported(f"n_anchors={n_anchors}: {method} needs 1 to {len(X)}, the number of training rows")
    if not 1 <= n_neighbors <= n_anchors:
        raise Unsupported(f"n_neighbors={n_neighbors}: {method} needs 1 to {n_anchors}, the number of anchors")
    refuse_constant(X, method)
    anchors = _different(np.unique(_means_of_clusters(X, n_anchors, random_state), axis=0))
    if n_neighbors > len(anchors):
        raise Unsupported(f"n_neighbors={n_neighbors}: {method} finds only {len(anchors)} different anchors")
    nearest, squared = _nearest_anchors(X, anchors, n_neighbors)
    used, nearest = np.unique(nearest, return_inverse=True)
    width = float(np.sqrt(squared.max(axis=1)).mean())
    Z = _weights(nearest.reshape(squared.shape), squared, width, len(used))
    return anchors[used], width, Z


def _means_of_clusters(X: np.ndarray, n_clusters: int, random_state: int | None) -> np.ndarray:
    """Return k-means centres, (n_clusters, d) float32, from the rows that scikit-learn's would begin with."""
    shares = np.full(len(X), 1 / len(X))
    chosen = np.random.RandomState(random_state).choice(len(X), n_clusters, replace=False, p=shares)
    centres, before = X[chosen], None
    for _ in range(KMEANS_ITERATIONS):
        nearest = _nearest_anchors(X, centres, 1)[0].ravel()
        if before is not None and np.array_equal(nearest, before):
            break
        sizes, sums, before = np.bincount(nearest, minlength=n_clusters), np.zeros(centres.shape), nearest
        for number, block in enumerate(blocks(X)):
            _add_rows(block, nearest[number * BLOCK_ROWS :], sums)
        filled = sizes > 0  # a centre without rows stays where it is
        centres = np.where(filled[:, None], sums / np.maximum(sizes, 1)[:, None], centres).astype(np.float32)
    return centres


@njit(void(ROWS, int64[::1], float64[:, ::1]), nogil=True, cache=True)
def _add_rows(X, numbers, sums):
    """Add each row to the sum of its number."""
    for i in range(len(X)):
        total = sums[numbers[i]]
        for k in range(X.shape[1]):
            total[k] += X[i, k]


def _different(anchors: np.ndarray) -> np.ndarray:
    """Return the anchors without those that coincide with an earlier one up to the rounding of a mean in float32."""
    limit = 16 * EPS * np.sqrt(np.square(anchors, dtype=np.float64).sum(axis=1).max())
    nearest, squared = _nearest_anchors(anchors, anchors, len(anchors))
    rows = np.arange(len(anchors))[:, None]
    return anchors[~((squared <= limit * limit) & (nearest < rows)).any(axis=1)]


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


def _nearest_anchors(X, anchors, n_neighbors):
    """Return the indices and squared distances of each row's nearest anchors, both (n, n_neighbors), nearest first.

    A float32 product proposes anchors; those that rounding may have put in their place are measured in float64.
    """
    nearest = np.zeros((len(X), n_neighbors), np.int64)
    squared = np.empty((len(X), n_neighbors))
    # By a power of two, so that products neither overflow nor vanish.
    exponent = -int(np.frexp(np.abs(anchors).max())[1])
    anchors = np.ascontiguousarray(np.ldexp(anchors, exponent), np.float32)
    for number, block in enumerate(blocks(X)):
        rows = np.ascontiguousarray(np.ldexp(block, exponent), np.float32)
        here = slice(number * BLOCK_ROWS, number * BLOCK_ROWS + len(rows))
        with np.errstate(over="ignore", invalid="ignore"):
            products = rows @ anchors.T
        _choose(rows, anchors, products, nearest[here], squared[here])
    return nearest, np.ldexp(squared, -2 * exponent)


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


# With its types, it is compiled or read from the cache when this module is imported, whatever arrays come later. One
# thread: threads of numba and of BLAS that take turns wait for each other.
@njit(void(ROWS, ROWS, ROWS, int64[:, ::1], float64[:, ::1]), nogil=True, cache=True)
def _choose(X, anchors, products, nearest, squared):
    """Write each row's nearest anchors and their squared distances, the lower index first where two are equal.

    The rounding of a product is bounded as in `hashbench.learning.portable.decisions`. Where float32 may overflow, all
    anchors are measured.
    """
    n_anchors, d = anchors.shape
    lengths, rough, candidates = np.empty(n_anchors), np.empty(n_anchors), np.empty(n_anchors, np.int64)
    sums, longest = np.empty(SUMS), 0.0
    for j in range(n_anchors):
        lengths[j] = dot(anchors[j], anchors[j], sums)
        longest = max(longest, np.sqrt(lengths[j]))
    for i in range(len(X)):
        row, product, distances, indices = X[i], products[i], squared[i], nearest[i]
        for j in range(n_anchors):
            rough[j] = lengths[j] - 2 * product[j]
        _find_least(rough, distances, indices)
        limit = distances[-1] + 4 * rounding(d, np.sqrt(dot(row, row, sums)) * longest)
        n_candidates = 0
        for j in range(n_anchors):  # without a branch, which would cost more than the comparison
            candidates[n_candidates] = j
            n_candidates += not rough[j] > limit
        distances[:] = np.inf
        for j in candidates[:n_candidates]:
            _keep_least(squared_distance(row, anchors[j], sums), j, distances, indices)


def _weights(nearest, squared, width, n_anchors):
    """Return Z; distances beyond the nearest one's, so that a far point's weights don't all underflow."""
    beyond = squared - squared.min(axis=1, keepdims=True)
    weights = falling_exponential(beyond / max(width**2, np.finfo(np.float64).tiny))
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
        The graph has fewer than ``n_vectors`` usable eigenvectors.
    """
    sizes = Z.sum(axis=0)
    scale = 1 / np.sqrt(sizes)
    values, vectors = leading_eigenvectors((Z.T @ Z).toarray() * scale[:, None] * scale, len(scale))
    usable = np.flatnonzero((values > NULL) & (values < 1 - TRIVIAL))
    if n_vectors > len(usable):
        raise Unsupported(
            f"{request} needs {n_vectors} eigenvectors of the anchor graph, {len(usable)} of {len(values)} are "
            f"usable (eigenvalue above 0, below {1 - TRIVIAL}); fewer bits or more anchors may do"
        )
    values, vectors = values[usable[:n_vectors]], vectors[:, usable[:n_vectors]]
    return np.sqrt(Z.shape[0] / values) * scale[:, None] * vectors, values
