"""Anchor graph hashing (AGH), with one or two layers."""

from typing import Literal

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.classic.anchor_graph import anchor_weights, find_anchors, graph_eigenvectors


class AGH(HashMethod):
    """Anchor graph hashing: the signs of an anchor graph's leading eigenvectors.

    Source: Liu, Wang, Kumar and Chang, Hashing with graphs, ICML 2011. Z connects points to their nearest k-means
    anchors (equation 2). The graph ZΛ⁻¹Zᵀ has the eigenvectors ZW with W = √n Λ^-½ V Σ^-½ (section 3.2), and new points
    are mapped by the same product (section 3.3). With two layers there are half as many eigenvectors, and each is
    thresholded again on both sides of zero, at learned values (section 3.4). As in the authors' code, σ is the mean
    distance to the ``n_neighbors``-th nearest anchor, and eigenvalues above 1 − 1e-3 are dropped.

    Parameters
    ----------
    n_bits : int
        Code length in bits; even with two layers. At most the number of usable eigenvectors, which is below
        ``n_anchors``, or with two layers twice that.
    n_layers : {1, 2}
        Number of layers.
    n_anchors : int
        Number of k-means centres, at most the number of training rows.
    n_neighbors : int
        Number of nearest anchors that a point is connected to.
    random_state : int or None
        Seed of k-means.

    Attributes
    ----------
    anchors_ : ndarray of shape (m, n_features), float32
        The anchors that some training point is connected to, at most ``n_anchors``.
    width_ : float
        The kernel's σ.
    weights_ : ndarray of shape (m, n_eigenvectors), float64
        W: eigenvectors are ``Z @ weights_``.
    thresholds_ : ndarray of shape (2, n_eigenvectors), float64
        Thresholds of the second layer on the positive and the negative side; empty (2, 0) with one layer.

    Kind
    ----
    graph

    Fidelity
    --------
    Written from the paper, with σ and the bound on eigenvalues from the authors' MATLAB code. It was not compared with
    that code. Tests check properties that the paper states: balanced orthogonal eigenvectors, and thresholds that
    minimise the graph's Laplacian.
    """

    paper = "Liu et al., ICML 2011"
    portable = True
    search = {
        "n_layers": [1, 2],
        "n_anchors": log_range(150, 1000),
        "n_neighbors": (2, 10),
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        n_layers: Literal[1, 2] = 1,
        n_anchors: int = 300,
        n_neighbors: int = 3,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.n_layers = n_layers
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X, y=None):
        """Choose the anchors and learn the eigenvectors and thresholds.

        Raises
        ------
        Unsupported
            ``n_layers`` is neither 1 nor 2, ``n_bits`` is odd with two layers or exceeds the number of usable
            eigenvectors, ``n_anchors`` exceeds the number of rows, ``n_neighbors`` that of (different) anchors, or all
            rows are the same.
        """
        if self.n_layers not in (1, 2):
            raise Unsupported(f"n_layers={self.n_layers!r}: expected 1 or 2")
        if self.n_bits % self.n_layers:
            raise Unsupported(f"n_bits={self.n_bits}: AGH with n_layers=2 needs an even number")
        self.anchors_, self.width_, Z = find_anchors(X, self.n_anchors, self.n_neighbors, "AGH", self.random_state)
        self.weights_, _ = graph_eigenvectors(Z, self.n_bits // self.n_layers, f"n_bits={self.n_bits}: AGH")
        self.thresholds_ = _thresholds(Z, Z @ self.weights_) if self.n_layers == 2 else np.empty((2, 0))
        return self

    def project(self, X):
        """Return the eigenvectors' values and, with two layers, their distances beyond the thresholds."""
        values = anchor_weights(X, self.anchors_, self.n_neighbors, self.width_) @ self.weights_
        if self.n_layers == 1:
            return values
        above, below = self.thresholds_
        return np.hstack([values, np.where(values > 0, values - above, below - values)])


def _thresholds(Z, Y):
    """Return the thresholds b⁺ and b⁻ of section 3.4, shape (2, n_eigenvectors).

    With e the indicator of y > 0, the second layer's relaxed bits f = |y| − b⁺e + b⁻(1 − e) are |y| − te plus a
    constant, t = b⁺ + b⁻. The graph Laplacian L = I − ZΛ⁻¹Zᵀ ignores the constant, so that fᵀLf is least at
    t = eᵀL|y| / eᵀLe; b⁺ then follows from Σf = 0.
    """
    n = len(Y)
    sizes = Z.sum(axis=0)[:, None]
    positive = Y > 0
    Ze, Zy = Z.T @ positive.astype(np.float64), Z.T @ np.abs(Y)
    n_positive, sum_positive = positive.sum(axis=0), Y.sum(axis=0, where=positive)
    t = (sum_positive - (Ze * Zy / sizes).sum(axis=0)) / (n_positive - (Ze * Ze / sizes).sum(axis=0))
    above = (2 * sum_positive + (n - n_positive) * t) / n
    return np.stack([above, t - above])
