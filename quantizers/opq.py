"""Optimized product quantization, by faiss."""

import numpy as np

from hashbench.contract.faiss_quantizer import FaissQuantizer, faiss_module, n_parts, refuse_few
from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported


class OPQ(FaissQuantizer):
    """Product quantization after the rotation that makes its error smallest.

    Source: Ge, He, Ke and Sun, Optimized product quantization, TPAMI 2014, section 3.2 (non-parametric). faiss's
    ``OPQMatrix`` before an ``IndexPQ``, with default settings except for the numbers of rounds and rows; each round
    decomposes a d × d matrix.

    Parameters
    ----------
    n_bits : int
        Code length in bits; ``n_bits`` / 8 must divide the number of features.
    n_iter : int
        Rounds of the rotation; faiss's default is 50.
    n_rows : int
        Training rows that the rotation is learned from, at most; all of them train the centroids.
    random_state : int or None
        Seed of the rows and of k-means.
    """

    paper = "Ge et al., TPAMI 2014"
    parts = ("rotation_", "centroids_")
    search = {"n_iter": log_range(5, 50)}

    def __init__(self, n_bits=256, *, n_iter=20, n_rows=10_000, random_state=None):
        self.n_bits = n_bits
        self.n_iter = n_iter
        self.n_rows = n_rows
        self.random_state = random_state

    def n_bytes(self, n_features):
        """Return one a part."""
        return n_parts(self.n_bits, n_features, self.name)

    def new_index(self, n_features):
        """Return a rotation and an ``IndexPQ``."""
        faiss, parts = faiss_module(self.name), self.n_bytes(n_features)
        rotation, index = faiss.OPQMatrix(n_features, parts), faiss.IndexPQ(n_features, parts, 8)
        rotation.niter = int(self.n_iter)
        index.pq.cp.min_points_per_centroid = 1  # faiss warns of fewer than 39, for each part
        if self.random_state is not None:
            index.pq.cp.seed = int(self.random_state)
        return faiss.IndexPreTransform(rotation, index)

    def fit(self, X):
        """Learn the rotation from some rows, then the centroids from all.

        Raises
        ------
        Unsupported
            There are fewer than 256 training rows, a parameter is out of its range, or faiss is not installed.
        """
        refuse_few(len(X), self.name)
        if self.n_iter < 1 or self.n_rows < 256:
            raise Unsupported(f"n_iter={self.n_iter}, n_rows={self.n_rows}: expected at least 1 and 256")
        faiss, index = faiss_module(self.name), self.new_index(X.shape[1])
        rotation, last = faiss.downcast_VectorTransform(index.chain.at(0)), faiss.downcast_index(index.index)
        chosen = np.random.default_rng(self.random_state).permutation(len(X))[: self.n_rows]
        rotation.pq = last.pq  # for its settings; it is trained anew below
        rotation.train(X[np.sort(chosen)])
        rotation.pq = None
        last.train(rotation.apply(X))
        index.is_trained = True
        self.index_ = index
        return self
