"""RaBitQ: one bit a dimension after a random rotation, with an unbiased estimate of distances."""

import numpy as np

from hashbench.contract.faiss_quantizer import faiss_module, new_rabitq
from hashbench.contract.quantizer import Quantizer
from hashbench.errors import Unsupported

FACTORS = 8
"""Bytes of the two numbers that a code has besides its bits."""


class RaBitQ(Quantizer):
    """Signs of the centred and randomly rotated vector, and two numbers that make its products with a query unbiased.

    Source: Gao and Long, RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate
    nearest neighbor search, SIGMOD 2024, sections 3.1 and 3.2. With o the unit vector of x − c, rotated, and ō the
    vertex of the cube ±1/√d nearest to it, ⟨ō, q⟩ / ⟨ō, o⟩ estimates ⟨o, q⟩; over the rotation it is unbiased, and
    its error is below √(1 − ⟨ō, o⟩²) / ⟨ō, o⟩ · ε / √(d − 1), but for a chance that falls with exp(−c ε²) (theorem
    3.2). Queries keep their values: the paper's rounding of them to 4 bits, a matter of speed, is left out, as is the
    padding of d to a multiple of 64. The centre is the training mean, as for one cluster.

    Parameters
    ----------
    random_state : int or None
        Seed of the rotation.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,), float32
    rotation_ : ndarray of shape (n_features, n_features), float32
    """

    paper = "Gao and Long, SIGMOD 2024"

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def n_bytes(self, n_features):
        """Return a bit a dimension, and two float32."""
        return -(-n_features // 8) + FACTORS

    def fit(self, X):
        """Learn the mean and draw the rotation."""
        d = X.shape[1]
        self.center_ = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        gaussian = np.random.default_rng(self.random_state).standard_normal((d, d))
        Q, R = np.linalg.qr(gaussian)
        self.rotation_ = (Q * np.sign(np.diag(R))).astype(np.float32)  # uniform over all orthogonal matrices
        return self

    def encode_block(self, X):
        """Return bits, then ‖x − c‖² and 2 ‖x − c‖ / (⟨ō, o⟩ √d) as float32."""
        rotated = (X - self.center_) @ self.rotation_
        squared, summed = np.einsum("ij,ij->i", rotated, rotated), np.abs(rotated).sum(axis=1)
        # ⟨ō, o⟩ = Σ|rotated| / (√d ‖x − c‖); the centre itself has no direction, and needs none.
        slope = np.divide(2 * squared, summed, out=np.zeros_like(squared), where=summed > 0)
        factors = np.stack([squared, slope], axis=1).astype("<f4").view(np.uint8)
        return np.concatenate([np.packbits(rotated > 0, axis=1), factors], axis=1)

    def distances(self, queries, codes):
        """Return ‖x − c‖² − 2 ‖x − c‖ ⟨ō, q − c⟩ / ⟨ō, o⟩: squared distances, less ‖q − c‖² of each query."""
        rotated = (queries - self.center_) @ self.rotation_
        squared, slope = np.ascontiguousarray(codes[:, -FACTORS:]).view("<f4").T
        bits = np.unpackbits(codes[:, :-FACTORS], axis=1, count=rotated.shape[1]).astype(np.float32)
        products = rotated @ bits.T  # ⟨±1, q⟩ = 2 ⟨bits, q⟩ − Σ q
        products *= 2
        products -= rotated.sum(axis=1, keepdims=True)
        return squared - slope * products

    def to_faiss(self, similarity="euclidean"):
        """Return ``IndexRaBitQ`` behind the rotation; queries keep their values, codes are laid out in another way."""
        if similarity == "ip":
            raise Unsupported("rabitq has no index of faiss for codes that are ranked by the inner product")
        faiss, d = faiss_module(self.name), self.n_features_in_
        rotation, index = faiss.LinearTransform(d, d), new_rabitq(d, 1, 0, self.name)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.rotation_.T).ravel(), rotation.A)
        center = self.center_.astype(np.float64) @ self.rotation_.astype(np.float64)
        faiss.copy_array_to_vector(center.astype(np.float32), index.center)
        rotation.is_trained = index.is_trained = True
        return faiss.IndexPreTransform(rotation, index)
