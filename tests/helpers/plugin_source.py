"""The source of a method, as a user's plugin file has it."""

PLUGIN = '''"""A method of my own."""
import numpy as np
from hashbench import HashMethod


class Mine(HashMethod):
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        self.n_bits, self.scale, self.random_state = n_bits, scale, random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        self.mean_, self.directions_ = X.mean(0), rng.standard_normal((X.shape[1], self.n_bits))
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_
'''
