"""Product quantization, by faiss."""

from hashbench.contract.faiss_quantizer import FaissQuantizer, faiss_module, n_parts, refuse_few


class PQ(FaissQuantizer):
    """Product quantization: vectors are cut into parts, and each is replaced by the nearest of 256 centroids, one byte.

    Source: Jégou, Douze and Schmid, Product quantization for nearest neighbor search, TPAMI 2011, section 3; the
    query keeps its values (asymmetric distances, section 3.2). faiss's ``IndexPQ`` with its default settings.

    Parameters
    ----------
    n_bits : int
        Code length in bits; ``n_bits`` / 8 must divide the number of features.
    random_state : int or None
        Seed of k-means; None is faiss's default, 1234.
    """

    paper = "Jégou et al., TPAMI 2011"
    parts = ("centroids_",)

    def __init__(self, n_bits=256, *, random_state=None):
        self.n_bits = n_bits
        self.random_state = random_state

    def n_bytes(self, n_features):
        """Return one a part."""
        return n_parts(self.n_bits, n_features, self.name)

    def new_index(self, n_features):
        """Return an ``IndexPQ``."""
        index = faiss_module(self.name).IndexPQ(n_features, self.n_bytes(n_features), 8)
        index.pq.cp.min_points_per_centroid = 1  # faiss warns of fewer than 39, for each part
        if self.random_state is not None:
            index.pq.cp.seed = int(self.random_state)
        return index

    def fit(self, X):
        """Learn the centroids.

        Raises
        ------
        Unsupported
            There are fewer than 256 training rows, or faiss is not installed.
        """
        refuse_few(len(X), self.name)
        return super().fit(X)
