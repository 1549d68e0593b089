"""Random-hyperplane hashing (LSH)."""

import numpy as np

from hashbench.learning.linear import LinearMethod, mean


class LSH(LinearMethod):
    """Locality-sensitive hashing by random hyperplanes through the training data's mean.

    Source: Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002, section 3. The data is
    centred first: features after a ReLU are all in one orthant, where uncentred bits hardly differ.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    random_state : int or None
        Seed of the directions.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float32
        The hyperplanes' normals, of independent standard normal components.
    offset_ : ndarray of shape (n_bits,), float64
        The projected mean.

    Fidelity
    --------
    The definition, except for the centring.
    """

    paper = "Charikar, STOC 2002"
    portable = True

    def __init__(self, n_bits=32, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the directions; only the mean is learned from ``X``."""
        rng = np.random.default_rng(self.random_state)
        directions = rng.standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        self._keep(directions, centre=mean(X))
        return self
