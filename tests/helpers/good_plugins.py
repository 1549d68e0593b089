"""A method and a quantizer that pass every check, for tests to break."""

import numpy as np

from hashbench import HashMethod, Unsupported
from hashbench.contract.parameters import checked_n_bits
from hashbench.contract.quantizer import Quantizer


class GoodMethod(HashMethod):
    """Random directions; ``scale`` does nothing."""

    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        self.n_bits, self.scale, self.random_state = n_bits, scale, random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        self.mean_ = X.mean(axis=0)
        self.directions_ = rng.standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_


class GoodQuantizer(Quantizer):
    """Coordinates along turned principal directions, a byte each.

    Parameters
    ----------
    n_bits : int
        Code length in bits, a multiple of 8.
    scale : float
        Does nothing.
    random_state : int or None
        Seed of the turn.
    """

    paper = "made here"

    def __init__(self, n_bits=64, *, scale=1.0, random_state=None):
        self.n_bits, self.scale, self.random_state = n_bits, scale, random_state

    def n_bytes(self, n_features):
        checked_n_bits(self.n_bits)
        if self.n_bits % 8 or self.n_bits > 8 * n_features:
            raise Unsupported(f"n_bits={self.n_bits}: expected a multiple of 8, at most {8 * n_features}")
        return self.n_bits // 8

    def fit(self, X, y=None):
        k = self.n_bits // 8
        self.mean_ = X.mean(axis=0)
        principal = np.linalg.svd(X - self.mean_, full_matrices=False)[2][:k]
        turn = np.linalg.qr(np.random.default_rng(self.random_state).standard_normal((k, k)))[0]
        self.directions_ = (principal.T @ turn).astype(np.float32)
        self.step_ = float(np.abs((X - self.mean_) @ self.directions_).max()) / 127 or 1.0
        return self

    def encode_block(self, X):
        return np.rint((X - self.mean_) @ self.directions_ / self.step_).clip(-127, 127).astype(np.int8).view(np.uint8)

    def distances(self, queries, codes):
        queries = (queries - self.mean_) @ self.directions_
        return np.square(queries[:, None] - codes.view(np.int8) * self.step_).sum(axis=2)
