"""LSH as faiss does it."""

import numpy as np

from hashbench.contract.faiss_quantizer import faiss_module
from hashbench.learning.linear import LinearMethod


class FaissLSH(LinearMethod):
    """``faiss.IndexLSH``: signs after a random rotation, with the library's default settings.

    Source: Johnson, Douze and Jégou, Billion-scale similarity search with GPUs, IEEE Transactions on Big Data 2021 (the
    library). It differs from ``lsh``: the directions are orthogonal, and the data is not centred, so many bits hardly
    vary on features after a ReLU. Encoding needs no faiss.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    train_thresholds : bool
        Whether each bit's threshold is its training median instead of 0; off in faiss.
    random_state : int or None
        Seed of the rotation; None is faiss's default, 5.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_bits), float32
    offset_ : ndarray of shape (n_bits,), float64
        The thresholds.

    Fidelity
    --------
    The library's code is called. A test compares codes with those of ``faiss.IndexLSH``.
    """

    paper = "Johnson et al., faiss"
    search = {"train_thresholds": [False, True]}

    def __init__(self, n_bits=32, *, train_thresholds=False, random_state=None):
        self.n_bits = n_bits
        self.train_thresholds = train_thresholds
        self.random_state = random_state

    def fit(self, X, y=None):
        """Train the index and take its rotation and thresholds.

        Raises
        ------
        Unsupported
            faiss is not installed.
        """
        faiss = faiss_module(self.name)
        index = faiss.IndexLSH(X.shape[1], int(self.n_bits), True, bool(self.train_thresholds))
        if self.random_state is not None:
            index.rrot.init(int(self.random_state))
        index.train(X)
        rotation = faiss.vector_to_array(index.rrot.A).reshape(-1, X.shape[1])
        thresholds = np.zeros(self.n_bits)
        if self.train_thresholds:
            thresholds += faiss.vector_to_array(index.thresholds)
        self._keep(rotation[: self.n_bits].T.copy(), thresholds)
        return self
