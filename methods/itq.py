"""Iterative quantization (ITQ)."""

import numpy as np

from hashbench.errors import Unsupported
from hashbench.method import HashMethod


class ITQ(HashMethod):
    """Iterative quantization: PCA, then the rotation that brings the data closest to the hypercube's corners.

    Source: Gong and Lazebnik, Iterative quantization: a Procrustean approach to learning binary codes, CVPR
    2011. Alternates B = sgn(VR) with the orthogonal Procrustes solution for R (section 2.2), from a random
    rotation; the authors' code runs 51 alternations (0 to 50), and has not converged then.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features.
    n_iter : int
        Number of alternations.
    random_state : int or None
        Seed of the initial rotation.

    Attributes
    ----------
    losses_ : list of float
        Quantization loss ‖B − VR‖² / n of each alternation (equation 2), before its rotation is updated.
    """

    paper = "Gong and Lazebnik, CVPR 2011"

    def __init__(self, n_bits=32, *, n_iter=51, random_state=None):
        self.n_bits = n_bits
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the principal directions and their rotation."""
        n, d = X.shape
        if self.n_bits > d:
            raise Unsupported(f"n_bits={self.n_bits}: ITQ gives at most one bit per feature, {d} here")
        rng = np.random.default_rng(self.random_state)
        self.mean_ = X.mean(axis=0)
        centred = X - self.mean_
        _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        principal = vectors[:, ::-1][:, : self.n_bits].astype(np.float32)
        V = centred @ principal
        R = np.linalg.qr(rng.standard_normal((self.n_bits, self.n_bits)))[0].astype(np.float32)
        self.losses_ = []
        for _ in range(self.n_iter):
            rotated = V @ R
            B = np.where(rotated > 0, np.float32(1), np.float32(-1))
            self.losses_.append(float(np.square(B - rotated).sum() / n))
            left, _, right = np.linalg.svd(V.T @ B)
            R = left @ right
        self.directions_ = principal @ R
        return self

    def project(self, X):
        """Return the rotated principal components."""
        return (X - self.mean_) @ self.directions_
