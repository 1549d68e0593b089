"""Discrete graph hashing (DGH)."""

from typing import Literal

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.classic.anchor_graph import anchor_weights, find_anchors, graph_eigenvectors
from hashbench.learning.portable.eigen import leading_eigenvectors
from hashbench.learning.portable.exact import on_grid, shared_bits
from hashbench.learning.portable.rotations import nearest_rotation, product

FULL_RANK = 1e-8
ROTATION_BITS, MOST_BITS = 22, 24
"""Binary digits of the rotation, and at most of the rotated values whose signs are taken, so that sums are exact."""


class DGH(HashMethod):
    """Discrete graph hashing: binary codes that are optimised directly on an anchor graph.

    Source: Liu, Mu, Kumar and Chang, Discrete graph hashing, NIPS 2014. Maximises tr(BᵀAB) + ρ tr(BᵀY) over codes B ∈
    {±1} and balanced, uncorrelated Y (equation 4), A = ZΛ⁻¹Zᵀ the anchor graph. B is updated by signed gradients, B ←
    sgn(2AB + ρY), where 0 keeps the old sign (section 3.1). Y is computed by an SVD (section 3.2). A new point's code
    is sgn(BᵀZΛ⁻¹z) (section 2). Anchors and kernel width are AGH's.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of usable eigenvectors of the graph, which is below ``n_anchors``.
    n_anchors : int
        Number of k-means centres, at most the number of training rows.
    n_neighbors : int
        Number of nearest anchors that a point is connected to.
    rho : float
        Weight ρ of balance and decorrelation; if codes are unbalanced, a greater value such as 1 helps.
    init : {"rotation", "identity"}
        Start from the signs of the graph's eigenvectors after the rotation that equation 8 learns (the paper's DGH-R,
        which reaches a higher objective there), or of the eigenvectors themselves (DGH-I).
    max_outer, max_inner : int
        Maximum numbers of alternations and, in each, of updates of B.
    tol : float
        Relative increase of the objective below which the alternation stops, also for equation 8.
    random_state : int or None
        Seed of k-means, and of Y's free directions where codes are linearly dependent.

    Attributes
    ----------
    anchors_ : ndarray of shape (m, n_features), float32
        The anchors that some training point is connected to, at most ``n_anchors``.
    width_ : float
        The kernel's σ.
    weights_ : ndarray of shape (m, n_bits), float64
        Λ⁻¹ZᵀB.
    objectives_ : list of float
        Equation 4's objective at the start and after each update of B and of Y.

    Kind
    ----
    graph

    Fidelity
    --------
    Written from the paper, with anchors and kernel as in AGH. It was not compared with code of the authors. Tests check
    properties that the paper states: the objective never decreases, and codes are a fixed point.
    """

    paper = "Liu et al., NIPS 2014"
    portable = True
    search = {
        "n_anchors": log_range(150, 1000),
        "n_neighbors": (2, 10),
        "rho": log_range(1e-3, 10.0),
        "init": ["rotation", "identity"],
    }

    def __init__(
        self,
        n_bits: int = 32,
        *,
        n_anchors: int = 300,
        n_neighbors: int = 3,
        rho: float = 0.1,
        init: Literal["rotation", "identity"] = "rotation",
        max_outer: int = 20,
        max_inner: int = 300,
        tol: float = 1e-4,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.rho = rho
        self.init = init
        self.max_outer = max_outer
        self.max_inner = max_inner
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, y=None):
        """Choose the anchors and optimise the training codes.

        Raises
        ------
        Unsupported
            A parameter is out of its range, ``n_bits`` exceeds the number of usable eigenvectors, ``n_anchors``
            exceeds the number of rows, ``n_neighbors`` that of (different) anchors, or all rows are the same.
        """
        if self.init not in ("rotation", "identity"):
            raise Unsupported(f"init={self.init!r}: expected 'rotation' or 'identity'")
        for name, least in (("rho", 0), ("max_outer", 1), ("max_inner", 1)):
            if getattr(self, name) < least:
                raise Unsupported(f"{name}={getattr(self, name)!r}: expected at least {least}")
        self.anchors_, self.width_, Z = find_anchors(X, self.n_anchors, self.n_neighbors, "DGH", self.random_state)
        W, eigenvalues = graph_eigenvectors(Z, self.n_bits, f"n_bits={self.n_bits}: DGH")
        rng = np.random.default_rng(self.random_state)
        sizes = Z.sum(axis=0)[:, None]
        Y = Z @ W
        AY = Y * eigenvalues
        R = self._rotation(AY) if self.init == "rotation" else np.eye(self.n_bits)
        Y, B = product(Y, R), _signs(product(AY, R))
        ZtB = Z.T @ B

        def objective():
            return float((ZtB**2 / sizes).sum() + self.rho * (B * Y).sum())

        self.objectives_ = [objective()]
        for _ in range(self.max_outer):
            for _ in range(self.max_inner):
                gradient = 2 * (Z @ (ZtB / sizes)) + self.rho * Y
                risen = np.where(gradient == 0, B, _signs(gradient))
                if np.array_equal(risen, B):
                    break
                B = risen
                ZtB = Z.T @ B
            self.objectives_.append(objective())
            Y = _balanced(B, rng)
            self.objectives_.append(objective())
            if self.objectives_[-1] - self.objectives_[-3] <= self.tol * abs(self.objectives_[-3]):
                break
        self.weights_ = ZtB / sizes
        return self

    def project(self, X):
        """Return the affinity-weighted mean of the training codes."""
        return anchor_weights(X, self.anchors_, self.n_neighbors, self.width_) @ self.weights_

    def _rotation(self, AH):
        """Maximise tr(RᵀHᵀAB) over rotations R and codes B in turn (equation 8), from R = I."""
        R, reached = np.eye(self.n_bits), 0.0
        AH = on_grid(AH, min(MOST_BITS, shared_bits(self.n_bits) - ROTATION_BITS, shared_bits(len(AH))))
        for _ in range(self.max_inner):
            correlation = AH.T @ _signs(AH @ on_grid(R, ROTATION_BITS))  # exact
            R = nearest_rotation(correlation, R)
            value = float((correlation * R).sum())
            if value - reached <= self.tol * reached:
                break
            reached = value
        return R


def _signs(values):
    return np.where(values > 0, 1.0, -1.0)


def _balanced(B, rng):
    """Return the Y nearest to B with 1ᵀY = 0 and YᵀY = nI: √n [U Ū][V V̄]ᵀ, with JB = UΣVᵀ (section 3.2)."""
    n, n_bits = B.shape
    centre = B.mean(axis=0)
    squares, V = leading_eigenvectors(B.T @ B - n * np.outer(centre, centre), n_bits)
    kept = squares > FULL_RANK * n
    # U Vᵀ = JB V Σ⁻¹ Vᵀ: one small matrix for B, whose product with −1 and 1 is exact.
    small = product(V[:, kept] / np.sqrt(squares[kept]), V[:, kept].T)
    small = on_grid(small, shared_bits(n_bits) - 1)
    Y = B @ small - product(centre[None], small)
    if not kept.all():
        Y += product(_beside(Y, n_bits - kept.sum(), rng), V[:, ~kept].T)
    return np.sqrt(n) * Y


def _beside(Y, n_columns, rng):
    """Return random columns of length 1, orthogonal to the ones, to Y and to each other."""
    n = len(Y)
    found = np.zeros((n, n_columns))
    for column in range(n_columns):
        free = rng.standard_normal(n)
        for _ in range(2):
            free -= free.mean()
            # Y's columns span those of U, and YYᵀ = UUᵀ.
            free -= (Y * (Y * free[:, None]).sum(axis=0)).sum(axis=1)
            free -= (found * (found * free[:, None]).sum(axis=0)).sum(axis=1)
        found[:, column] = free / np.sqrt(np.square(free).sum())
    return found
