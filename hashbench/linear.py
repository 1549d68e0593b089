"""Linear algebra that several methods share: principal directions, products with exact signs, anchor graphs.

Everything reads ``X`` in blocks, so that it may be a memory-map far larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array

from hashbench.errors import Unsupported
from hashbench.method import BLOCK_ROWS

NULL = 1e-12
"""Eigenvalues below this share of the greatest are rounding."""
TRIVIAL = 1e-3
KMEANS_ITERATIONS = 10


def blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of ``X`` a block at a time."""
    for start in range(0, len(X), BLOCK_ROWS):
        yield X[start : start + BLOCK_ROWS]


def mean(X: np.ndarray) -> np.ndarray:
    """Return the mean row of ``X``, shape (d,), float64."""
    return sum(block.sum(axis=0, dtype=np.float64) for block in blocks(X)) / len(X)


def refuse_constant(X: np.ndarray, method: str) -> None:
    """Raise `Unsupported` if all rows of ``X`` are the same."""
    if all((block == X[0]).all() for block in blocks(X)):
        raise Unsupported(f"X has zero variance: {method} needs at least 2 different rows, all {len(X)} are the same")


def principal_directions(X: np.ndarray, n_bits: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the leading eigenvectors of the covariance, accumulated in float64.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    n_bits : int
        Number of eigenvectors.
    method : str
        Who asks, for the error messages.

    Returns
    -------
    mean : ndarray of shape (d,), float64
    directions : ndarray of shape (d, n_bits), float64
        By falling eigenvalue; the largest component of each is positive. Where the data has no variance left,
        an eigenvector would be noise and the direction is zero.

    Raises
    ------
    Unsupported
        ``n_bits`` exceeds n or d, or all rows are the same.
    """
    n, d = X.shape
    if n_bits > d:
        raise Unsupported(f"n_bits={n_bits}: {method} gives at most one bit per feature, {d} here")
    if n_bits > n:
        raise Unsupported(f"n_bits={n_bits}: {method} gives at most one bit per training row, {n} here")
    refuse_constant(X, method)
    centre = mean(X)
    scatter = np.zeros((d, d))
    for block in blocks(X):
        centred = block - centre
        scatter += centred.T @ centred
    values, vectors = eigh(scatter, subset_by_index=[d - n_bits, d - 1], overwrite_a=True)
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n_bits)])
    return centre, np.where(values > NULL * values[0], vectors, 0.0)


def centred_product(X: np.ndarray, centre: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return (X − centre) @ directions, shape (n, n_directions), float32."""
    centre, directions = centre.astype(np.float32), directions.astype(np.float32)
    return np.concatenate([(block - centre) @ directions for block in blocks(X)])


def rounding_slack(X: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return how far from zero `signed_product` must be for its float32 sign to be trusted.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
        Training vectors; the longest of them sets the scale.
    directions : ndarray of shape (d, n_bits)

    Returns
    -------
    ndarray of shape (n_bits,), float32
        (2 + √d/8) ε max‖x‖ ‖w‖: over twice the largest error found on real features, Gaussian data and
        constants (where rounding adds up) with OpenBLAS's kernels for four processors.
    """
    longest = np.sqrt(max(float(np.einsum("ij,ij->i", block, block).max()) for block in blocks(X)))
    scale = (2 + np.sqrt(X.shape[1]) / 8) * np.finfo(np.float32).eps * longest
    return (scale * np.linalg.norm(directions, axis=0)).astype(np.float32)


def signed_product(X: np.ndarray, directions: np.ndarray, offset: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Return X @ directions − offset at float32's speed with float64's signs.

    The few values within ``slack`` of zero are computed again in float64, each from its own row only. So a
    code depends neither on cancellation against the offset nor on where in a block its row stands, which
    the last bits of a BLAS product do on many processors.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    directions : ndarray of shape (d, n_bits), float64 or float32
    offset : ndarray of shape (n_bits,), float64
    slack : ndarray of shape (n_bits,), float32
        What `rounding_slack` returned.

    Returns
    -------
    ndarray of shape (n, n_bits), float32
    """
    values = X @ directions.astype(np.float32, copy=False)
    values -= offset.astype(np.float32)
    doubtful = np.argwhere(np.abs(values) < slack)
    for start in range(0, len(doubtful), BLOCK_ROWS):
        rows, bits = doubtful[start : start + BLOCK_ROWS].T
        normals = np.ascontiguousarray(directions.T[bits], np.float64)
        values[rows, bits] = np.einsum("ij,ij->i", X[rows].astype(np.float64), normals) - offset[bits]
    return values


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
    anchors : ndarray of shape (m, d), float64
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
        anchors = np.unique(kmeans.fit(X).cluster_centers_.astype(np.float64), axis=0)
    if n_neighbors > len(anchors):
        raise Unsupported(f"n_neighbors={n_neighbors}: {method} finds only {len(anchors)} different anchors")
    nearest, squared = _nearest_anchors(X, anchors, n_neighbors)
    used, nearest = np.unique(nearest, return_inverse=True)
    width = float(np.sqrt(squared.max(axis=1)).mean())
    Z = _weights(nearest.reshape(squared.shape), squared, width, len(used))
    return anchors[used], width, Z


def anchor_weights(X: np.ndarray, anchors: np.ndarray, n_neighbors: int, width: float) -> csr_array:
    """Return Z: each row's affinities exp(−d²/width²) to its nearest anchors, divided by their sum.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    anchors : ndarray of shape (m, d), float64
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
    """Return the indices and squared distances of each row's nearest anchors, both (n, n_neighbors)."""
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
