"""Binary quantization: the signs of the features themselves."""

from hashbench.errors import Unsupported
from hashbench.learning.linear import mean
from hashbench.method import HashMethod


class Sign(HashMethod):
    """Binary quantization as vector databases do it: each bit is the sign of one centred feature.

    No paper; this is the "binary quantization" of vector databases. There it keeps one bit per dimension;
    shorter codes come from embeddings cut to their first dimensions (Matryoshka embeddings are trained for
    that), so ``n_bits`` below the number of features takes the first ``n_bits`` features. On features whose
    order means nothing that is a random choice of them.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features.

    Attributes
    ----------
    mean_ : ndarray of shape (n_bits,), float64
        Training mean of the features used, their threshold. Features after a ReLU are never negative, so
        without it no bit would ever be 0. A constant feature's bit is 0.
    """

    paper = "none (practice of vector databases)"

    def __init__(self, n_bits=32):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        """Learn the mean.

        Raises
        ------
        Unsupported
            ``n_bits`` exceeds the number of features.
        """
        if self.n_bits > X.shape[1]:
            raise Unsupported(f"n_bits={self.n_bits}: sign gives at most one bit per feature, {X.shape[1]} here")
        self.mean_ = mean(X[:, : self.n_bits])
        return self

    def project(self, X):
        """Return the centred features."""
        return X[:, : self.n_bits] - self.mean_
