"""The vectors themselves, four bytes a dimension: the ceiling of every quantizer."""

import numpy as np

from hashbench.contract.quantizer import Quantizer, decoded_distances


class Float32(Quantizer):
    """No quantization: single precision, and exact distances up to its rounding.

    No paper; every other quantizer is measured by what it loses to this one.
    """

    paper = "none (IEEE 754)"
    portable = True

    def n_bytes(self, n_features):
        """Return four a dimension."""
        return 4 * n_features

    def fit(self, X):
        """Learn nothing."""
        return self

    def encode_block(self, X):
        """Return the vectors as bytes."""
        return X.astype("<f4").view(np.uint8)

    def distances(self, queries, codes):
        """Return squared Euclidean distances, float64."""
        return decoded_distances(queries, np.ascontiguousarray(codes).view("<f4"))
