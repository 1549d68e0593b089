"""Half precision: two bytes a dimension."""

import numpy as np

from hashbench.errors import Unsupported
from hashbench.quantizer import Quantizer, decoded_distances


class Float16(Quantizer):
    """Vectors in half precision, as vector databases keep them (pgvector's ``halfvec``); queries stay as they are.

    No paper. Distances are those of the rounded vectors.
    """

    paper = "none (IEEE 754)"

    def n_bytes(self, n_features):
        """Return two a dimension."""
        return 2 * n_features

    def fit(self, X):
        """Learn nothing.

        Raises
        ------
        Unsupported
            A value is beyond half precision's range.
        """
        largest = np.abs(X).max()
        if largest > np.finfo(np.float16).max:
            raise Unsupported(f"X holds {largest:g}: float16 ends at 65504; divide the vectors by a constant")
        return self

    def encode_block(self, X):
        """Return the rounded vectors as bytes; what is out of range becomes the largest value."""
        largest = np.finfo(np.float16).max
        return X.clip(-largest, largest).astype("<f2").view(np.uint8)

    def distances(self, queries, codes):
        """Return squared Euclidean distances to the rounded vectors, float64."""
        return decoded_distances(queries, np.ascontiguousarray(codes).view("<f2"))
