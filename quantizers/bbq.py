"""Better binary quantization as Lucene does it: an interval for each vector, one bit a dimension, 4-bit queries."""

import numpy as np

from hashbench.contract.quantizer import Quantizer
from hashbench.errors import Unsupported

FACTORS = 14
"""Bytes of a code besides its bits: the interval's ends and ‖x − c‖² as float32, and the number of ones as uint16."""
ALONG = 0.1
"""λ: weight of the error orthogonal to the vector; the error along it has weight 1."""
ROUNDS = 5
GAUSSIAN_ENDS = {1: 0.798, 4: 2.514}
"""Half an interval, in standard deviations, of the uniform grid of so many bits that suits a normal variable best."""


class BBQ(Quantizer):
    """Centred vectors, rounded to the ends of an interval for each vector; queries, rounded to 16 levels.

    Source: Elastic's better binary quantization, Lucene's ``OptimizedScalarQuantizer`` (10.2). Without a rotation. The
    interval [a, b] begins as the best for a normal variable, and five times the levels of the dimensions and the
    interval are fitted to each other, by an error that counts λ = .1 across the vector and 1 along it; a round that
    does not make it smaller is the last. Written from that description; it is not the same to the bit.

    Parameters
    ----------
    query_bits : int
        Bits of a query's dimension: 4, or 0 to keep its real values.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,), float32
    """

    paper = "Elastic, Lucene 10.2"
    magnitudes = (1e-6, 1e6)

    def __init__(self, *, query_bits=4):
        self.query_bits = query_bits

    def n_bytes(self, n_features):
        """Return a bit a dimension, and 14 bytes."""
        if self.query_bits not in (0, 4):
            raise Unsupported(f"query_bits={self.query_bits}: bbq has 4, or 0 for real values")
        return -(-n_features // 8) + FACTORS

    def fit(self, X):
        """Learn the mean."""
        self.center_ = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        return self

    def encode_block(self, X):
        """Return bits, the interval, the squared distance from the centre and the number of ones."""
        centred = X - self.center_
        levels, interval = fitted_interval(centred, 1)
        squared = np.einsum("ij,ij->i", centred, centred)
        numbers = np.column_stack([interval, squared]).astype("<f4").view(np.uint8)
        ones = levels.sum(axis=1).astype("<u2")[:, None].view(np.uint8)
        return np.concatenate([np.packbits(levels > 0, axis=1), numbers, ones], axis=1)

    def distances(self, queries, codes):
        """Return ‖x − c‖² − 2 ⟨x̂, q̂⟩: squared distances, less that of the query from the centre."""
        centred = queries - self.center_
        if self.query_bits:
            levels, interval = fitted_interval(centred, self.query_bits)
            low, high = interval.T[:, :, None]
            centred = low + (high - low) / (2**self.query_bits - 1) * levels
        numbers = np.ascontiguousarray(codes[:, -FACTORS:-2]).view("<f4")
        a, b, squared = numbers.T
        bits = np.unpackbits(codes[:, :-FACTORS], axis=1, count=centred.shape[1]).astype(np.float32)
        products = (b - a) * (centred @ bits.T) + a * centred.sum(axis=1, keepdims=True)
        return squared - 2 * products


def fitted_interval(rows, bits):
    """Return the levels of centred vectors, and the interval of each.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32
    bits : {1, 4}

    Returns
    -------
    levels : ndarray of shape (n, d), float32
        Whole numbers from 0 to 2^bits − 1.
    interval : ndarray of shape (n, 2), float32
        Values of the lowest and the highest level.
    """
    spread = GAUSSIAN_ENDS[bits] * rows.std(axis=1)
    middle = rows.mean(axis=1)
    interval = np.stack([np.maximum(middle - spread, rows.min(axis=1)), np.minimum(middle + spread, rows.max(axis=1))])
    interval = interval.T
    steps = np.float32(2**bits - 1)
    loss, going = _loss(rows, _levels(rows, interval, steps) / steps, interval), np.ones(len(rows), bool)
    for _ in range(ROUNDS):
        tried = _refitted(rows, _levels(rows, interval, steps) / steps)
        tried_loss = _loss(rows, _levels(rows, tried, steps) / steps, tried)
        going &= tried_loss < loss
        interval, loss = np.where(going[:, None], tried, interval), np.where(going, tried_loss, loss)
    return _levels(rows, interval, steps), interval.astype(np.float32)


def _levels(rows, interval, steps):
    """Return each value's nearest level."""
    low, width = interval[:, :1], interval[:, 1:] - interval[:, :1]
    shares = np.divide(rows - low, width, out=np.zeros_like(rows), where=width > 0)
    return np.rint(shares.clip(0, 1) * steps).astype(np.float32)


def _loss(rows, shares, interval):
    """Return λ ‖e‖² + (1 − λ) ⟨x, e⟩² / ‖x‖² of each row, e its error."""
    errors = rows - (interval[:, :1] + (interval[:, 1:] - interval[:, :1]) * shares)
    squared = np.einsum("ij,ij->i", rows, rows)
    along = np.square(np.einsum("ij,ij->i", rows, errors))
    along = np.divide(along, squared, out=np.zeros_like(along), where=squared > 0)
    return ALONG * np.einsum("ij,ij->i", errors, errors) + (1 - ALONG) * along


def _refitted(rows, shares):
    """Return the interval with the least loss for given levels: two linear equations a row."""
    parts = 1 - shares, shares
    squared = np.einsum("ij,ij->i", rows, rows)
    own = np.stack([np.einsum("ij,ij->i", rows, part) for part in parts], axis=1)
    gram = np.empty((len(rows), 2, 2), np.float64)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        gram[:, i, j] = gram[:, j, i] = np.einsum("ij,ij->i", parts[i], parts[j])
    scale = np.divide(1 - ALONG, squared, out=np.zeros_like(squared), where=squared > 0)
    system = ALONG * gram + scale[:, None, None] * own[:, :, None] * own[:, None, :]
    return (np.linalg.pinv(system, hermitian=True) @ own[:, :, None])[:, :, 0].astype(rows.dtype)
