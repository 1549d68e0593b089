"""The vectors' directions, four bytes a dimension: what an angle finds without codes."""

import numpy as np

from hashbench.contract.quantizer import Quantizer, decoded_distances


class Float32Cosine(Quantizer):
    """No quantization: single precision, and exact distances between vectors of length 1, which rank as cosines do.

    No paper. Where items are scored by labels, this and ``float32`` are the ceiling of codes made of the same features;
    which of the two is higher depends on the features. A vector of zeros stays one.
    """

    paper = "none (IEEE 754)"

    def n_bytes(self, n_features):
        """Return four a dimension."""
        return 4 * n_features

    def fit(self, X):
        """Learn nothing."""
        return self

    def encode_block(self, X):
        """Return the vectors, divided by their lengths, as bytes."""
        return _unit(X).astype("<f4").view(np.uint8)

    def distances(self, queries, codes):
        """Return squared Euclidean distances of vectors of length 1, float64."""
        return decoded_distances(_unit(queries), np.ascontiguousarray(codes).view("<f4"))


def _unit(X):
    """Return rows divided by their lengths, float64."""
    X = X.astype(np.float64)
    lengths = np.sqrt(np.square(X).sum(axis=1, keepdims=True))
    return X / np.where(lengths > 0, lengths, 1.0)
