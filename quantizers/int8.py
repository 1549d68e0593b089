"""Scalar quantization to one byte a dimension, by the range of calibration rows."""

import numpy as np

from hashbench.contract.quantizer import Quantizer, decoded_distances
from hashbench.errors import Unsupported


class Int8(Quantizer):
    """Each dimension's range over the training rows is cut into 255 steps; a code is the number of a step, less 128.

    Source: sentence-transformers, ``quantize_embeddings(precision="int8")`` with the training rows as calibration
    (6.2, util/quantization.py): floor of the steps above the minimum, in single precision, held between 0 and 255; a
    constant dimension has steps of 1. There, codes are compared with a query's codes; here a real-valued query is
    compared with the middle of each step, which is at least as near.

    Attributes
    ----------
    starts_, steps_ : ndarray of shape (n_features,), float32
    """

    paper = "sentence-transformers"
    portable = True

    def n_bytes(self, n_features):
        """Return one a dimension."""
        return n_features

    def fit(self, X):
        """Learn the range of each dimension.

        Raises
        ------
        Unsupported
            All calibration rows are the same.
        """
        self.starts_, ends = X.min(axis=0), X.max(axis=0)
        if (self.starts_ == ends).all():
            raise Unsupported("int8: all calibration rows are the same, so that no dimension has a range")
        steps = (ends - self.starts_) / np.float32(255)
        self.steps_ = np.where(steps == 0, np.float32(1), steps)
        return self

    def encode_block(self, X):
        """Return the numbers of the steps, int8 as bytes."""
        levels = np.floor((X - self.starts_) / self.steps_).clip(0, 255)
        return (levels - 128).astype(np.int8).view(np.uint8)

    def distances(self, queries, codes):
        """Return squared Euclidean distances to the steps' middles, float64: a middle need not be a float32 number."""
        levels = codes.view(np.int8).astype(np.float64) + 128.5
        return decoded_distances(queries, self.starts_ + levels * self.steps_)
