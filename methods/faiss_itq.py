"""ITQ as faiss does it."""

import numpy as np

from hashbench.contract.faiss_quantizer import faiss_module
from hashbench.errors import Unsupported
from hashbench.learning.linear import LinearMethod, refuse_constant


class FaissITQ(LinearMethod):
    """``faiss.ITQTransform``: the library's ITQ with its default settings.

    Source: Johnson, Douze and Jégou, Billion-scale similarity search with GPUs, IEEE Transactions on Big Data
    2021 (the library); the method is Gong and Lazebnik's, CVPR 2011. It differs from ``itq``: the data is
    scaled to unit length after centring, and the rotation is updated by a product that is not the Procrustes
    solution, so that it stays close to the random initial one. Encoding needs no faiss.

    Parameters
    ----------
    n_bits : int
        Code length in bits, at most the number of features and of training rows.
    random_state : int or None
        Seed of the initial rotation; None is faiss's default, 123.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float32
        Rotated principal directions.
    offset_ : ndarray of shape (n_bits,), float64
        The projected mean.

    Fidelity
    --------
    The library's code is called. A test compares codes with those of ``faiss.ITQTransform``.
    """

    paper = "Johnson et al., faiss"

    def __init__(self, n_bits=32, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def fit(self, X, y=None):
        """Train the transform and take its mean and matrix.

        Raises
        ------
        Unsupported
            faiss is not installed, ``n_bits`` exceeds the number of features or of rows, or all rows are the
            same.
        """
        faiss = faiss_module(self.name)
        n, d = X.shape
        if self.n_bits > min(n, d):
            raise Unsupported(
                f"n_bits={self.n_bits}: faiss_itq gives at most one bit per feature and per training row, "
                f"{min(n, d)} here"
            )
        refuse_constant(X, "faiss_itq")
        transform = faiss.ITQTransform(d, int(self.n_bits), True)
        if self.random_state is not None:
            transform.itq.seed = int(self.random_state)
        transform.train(X)
        # faiss also scales to unit length after centring, which changes no sign.
        directions = faiss.vector_to_array(transform.pca_then_itq.A).reshape(self.n_bits, d).T.copy()
        self._keep(directions, centre=faiss.vector_to_array(transform.mean).astype(np.float64))
        return self
