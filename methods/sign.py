"""Binary quantization: the signs of the features themselves."""

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported
from hashbench.learning.linear import mean


class Sign(HashMethod):
    """Binary quantization as vector databases do it: each bit is the sign of one feature, centred or as it is.

    No paper; this is the "binary quantization" of vector databases. pgvector's ``binary_quantize`` and
    sentence-transformers' ``quantize_embeddings`` compare each feature with 0, which is ``center=False``; it suits
    embeddings that are spread around 0. There it keeps one bit per dimension; shorter codes come from embeddings cut to
    their first dimensions (Matryoshka embeddings are trained for that), so ``n_bits`` below the number of features
    takes the first ``n_bits`` features. For features in arbitrary order that is a random choice.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features.
    center : bool
        Compare each feature with its training mean; otherwise with 0.

    Attributes
    ----------
    mean_ : ndarray of shape (n_bits,), float64
        The features' thresholds: their training means, or zeros without ``center``. Features after a ReLU are never
        negative, so hardly any of their bits is 0 without ``center``. With ``center``, the bit of a constant feature is
        0.

    Kind
    ----
    linear

    Fidelity
    --------
    The definition. With ``center=False``, the bits are those of pgvector and of sentence-transformers' ubinary.
    """

    paper = "none (practice of vector databases)"
    portable = True

    def __init__(self, n_bits: int = 32, *, center: bool = True):
        self.n_bits = n_bits
        self.center = center

    def fit(self, X, y=None):
        """Learn the mean, with ``center``.

        Raises
        ------
        Unsupported
            ``n_bits`` exceeds the number of features.
        """
        if self.n_bits > X.shape[1]:
            raise Unsupported(f"n_bits={self.n_bits}: sign gives at most one bit per feature, {X.shape[1]} here")
        self.mean_ = mean(X[:, : self.n_bits]) if self.center else np.zeros(self.n_bits)
        return self

    def project(self, X):
        """Return the features minus their thresholds."""
        return X[:, : self.n_bits] - self.mean_
