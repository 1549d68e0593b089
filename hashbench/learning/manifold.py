"""Similarity of all pairs of rows, corrected by a walk on their neighbour graph (Tu, Mao and Wei, IJCAI 2020)."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg.lapack import spotrf, spotri

BYTES_PER_PAIR = 16
"""Memory that `manifold_similarity` takes per pair of rows at most, in bytes."""
SAME, NONE = 0.999, 1e-4
"""A cosine above the first is a similar pair, one below the second a dissimilar one."""
BLOCK_ROWS = 256


def rows_that_fit(n_bytes: int) -> int:
    """Return how many rows `manifold_similarity` can compare in so much memory."""
    return math.isqrt(n_bytes // BYTES_PER_PAIR)


def manifold_similarity(X: np.ndarray, n_near: int, n_reached: int, alpha: float) -> np.ndarray:
    """Return the similarity of all pairs of rows.

    An edge, weighted by the cosine, joins rows that are among each other's ``n_near`` nearest by cosine. With A the
    adjacency and D its degrees, (1 − α)(I − α D^-½ A D^-½)⁻¹ gives the similarity of rows along the graph. Of the rows
    near row i by cosine, those also among its ``n_reached`` nearest along the graph are similar, the others dissimilar.
    One direction is enough, and similar takes precedence. All other pairs keep their cosine, or 0 if it is negative.
    Rows without an edge are left as they are.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
    n_near, n_reached : int
    alpha : float
        From 0 to below 1; a larger value makes the random walk longer.

    Returns
    -------
    ndarray of shape (n, n), float32
        From −1, dissimilar, to 1, similar; symmetric.
    """
    similarity = _cosines(X)
    near = _greatest(similarity, n_near, above=NONE, itself=False)
    graph = np.where(near & near.T, similarity, np.float32(0))
    degrees = graph.sum(axis=1)
    tied = degrees > 0
    near &= tied & tied[:, None]
    reached = _greatest(_along_graph(graph, degrees, alpha), n_reached, above=0.0, itself=True)
    similarity[near & ~reached] = 0
    similarity[near & reached] = 1
    same, none = similarity > SAME, similarity < NONE
    similarity[none | none.T] = 0
    similarity[same | same.T] = 1
    np.fill_diagonal(similarity, 1)
    similarity *= 2
    similarity -= 1
    return similarity


def _cosines(X: np.ndarray) -> np.ndarray:
    """Return the cosines of all pairs; those of a row of zeros are 0."""
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    unit = X / np.where(lengths > 0, lengths, 1)
    return unit @ unit.T


def _greatest(values: np.ndarray, k: int, above: float, itself: bool) -> np.ndarray:
    """Return which of each row's values are among its k greatest and above a bound, (n, n) bool."""
    chosen = np.zeros(values.shape, bool)
    for start in range(0, len(values), BLOCK_ROWS):
        block = values[start : start + BLOCK_ROWS].copy()
        if not itself:
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        columns = np.argpartition(block, -k, axis=1)[:, -k:]
        kept = np.take_along_axis(block, columns, axis=1) > above
        np.put_along_axis(chosen[start : start + BLOCK_ROWS], columns, kept, axis=1)
    return chosen


def _along_graph(graph: np.ndarray, degrees: np.ndarray, alpha: float) -> np.ndarray:
    """Return (1 − α)(I − α D^-½ A D^-½)⁻¹, in the memory of the graph."""
    roots = np.sqrt(np.where(degrees > 0, degrees, 1))
    graph /= roots
    graph /= -roots[:, None] / np.float32(alpha)
    graph[np.diag_indices_from(graph)] += 1
    factor, failed = spotrf(graph.T, lower=1, overwrite_a=1)
    inverse, singular = spotri(factor, lower=1, overwrite_c=1)
    if failed or singular:
        raise FloatingPointError(f"the graph's system of equations is singular at alpha={alpha}")
    inverse *= np.float32(1 - alpha)
    return _mirrored(inverse)


def _mirrored(lower: np.ndarray) -> np.ndarray:
    """Copy the lower triangle of a matrix to the upper one, in place."""
    for start in range(0, len(lower), BLOCK_ROWS):
        end = start + BLOCK_ROWS
        corner = np.tril(lower[start:end, start:end])
        lower[start:end, start:end] = corner + np.tril(corner, -1).T
        lower[start:end, end:] = lower[end:, start:end].T
    return lower
