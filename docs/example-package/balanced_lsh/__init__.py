"""Random hyperplanes through the median."""

import numpy as np

from hashbench import HashMethod


class BalancedLSH(HashMethod):
    """Random hyperplanes whose thresholds are the training medians, so that every bit halves the data.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    random_state : int or None
        Seed of the directions.
    """

    def __init__(self, n_bits=32, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the directions and learn the medians."""
        rng = np.random.default_rng(self.random_state)
        self.directions_ = rng.standard_normal((X.shape[1], self.n_bits))
        self.medians_ = np.median(X @ self.directions_, axis=0)
        return self

    def project(self, X):
        """Return the distances from the medians."""
        return X.astype(np.float64) @ self.directions_ - self.medians_
