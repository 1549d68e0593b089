"""Half precision: two bytes a dimension."""

import numpy as np

from hashbench.contract.quantizer import Quantizer, decoded_distances


class Float16(Quantizer):
    """Vectors in half precision, as vector databases keep them (pgvector's ``halfvec``); queries stay as they are.

    No paper. Distances are those of the rounded vectors.
    """

    paper = "none (IEEE 754)"
    magnitudes = (1e-4, 65504)
    portable = True

    def n_bytes(self, n_features):
        """Return two a dimension."""
        return 2 * n_features

    def fit(self, X):
        """Learn nothing."""
        return self

    def encode_block(self, X):
        """Return the rounded vectors as bytes; what is out of range becomes the largest value."""
        largest = np.finfo(np.float16).max
        return X.clip(-largest, largest).astype("<f2").view(np.uint8)

    def distances(self, queries, codes):
        """Return squared Euclidean distances to the rounded vectors, float64."""
        return decoded_distances(queries, np.ascontiguousarray(codes).view("<f2"))
