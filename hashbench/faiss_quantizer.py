"""Quantizers that are an index of faiss: a subclass builds it, the rest is here."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.errors import Unsupported
from hashbench.quantizer import Quantizer, Search

CENTROIDS = 256
"""Of a product quantizer with one byte a part."""


class FaissQuantizer(Quantizer):
    """A quantizer whose codes, distances and search are those of a faiss index.

    A subclass writes ``__init__``, ``n_bytes`` and ``new_index``.

    Attributes
    ----------
    index_ : faiss.Index
        Trained and empty: an `IndexPreTransform`, or an index of codes.
    """

    def new_index(self, n_features: int) -> Any:
        """Return an untrained index for vectors of that width."""
        raise NotImplementedError(f"{type(self).__name__} must define new_index")

    def fit(self, X: np.ndarray) -> FaissQuantizer:
        """Train the index.

        Raises
        ------
        Unsupported
            faiss is not installed or too old.
        """
        index = self.new_index(X.shape[1])
        index.train(X)
        self.index_ = index
        return self

    def encode_block(self, X: np.ndarray) -> np.ndarray:
        """Return the index's codes."""
        return self.index_.sa_encode(X)

    def distances(self, queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the squared distances that the index's search gives."""
        index = self.filled(codes)
        found, rows = index.search(np.ascontiguousarray(queries, np.float32), len(codes))
        distances = np.empty_like(found)
        np.put_along_axis(distances, rows, found, axis=1)
        return distances

    def searcher(self, codes: np.ndarray) -> Search:
        """Return the search of the index with these codes in it."""
        index = self.filled(codes)
        return lambda queries, k: index.search(np.ascontiguousarray(queries, np.float32), k)[1]

    def filled(self, codes: np.ndarray) -> Any:
        """Return a copy of the index that holds codes.

        Parameters
        ----------
        codes : ndarray of shape (n, n_bytes), uint8
            From `encode`.
        """
        faiss = faiss_module(self.name)
        index = faiss.clone_index(self.index_)
        last = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
        last.add_sa_codes(np.ascontiguousarray(codes))
        index.ntotal = last.ntotal
        return index


def faiss_module(asked_by: str) -> Any:
    """Return faiss.

    Raises
    ------
    Unsupported
        It is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise Unsupported(f"{asked_by} needs faiss: pip install 'hashbench[faiss]'") from error
    return faiss


def n_parts(n_bits: int, n_features: int, asked_by: str) -> int:
    """Return how many parts a product quantizer has, one byte each.

    Raises
    ------
    Unsupported
        ``n_bits`` is no whole number of bytes, or the vectors cannot be cut into as many equal parts.
    """
    if n_bits % 8:
        raise Unsupported(f"n_bits={n_bits}: {asked_by} gives whole bytes; take a multiple of 8")
    parts = n_bits // 8
    if n_features % parts:
        raise Unsupported(
            f"n_bits={n_bits}: {asked_by} cuts vectors into {parts} equal parts, and {n_features} features cannot be "
            f"divided by {parts}; take another length"
        )
    return parts


def refuse_few(n_rows: int, asked_by: str) -> None:
    """Refuse fewer training rows than a part has centroids.

    Raises
    ------
    Unsupported
        There are fewer.
    """
    if n_rows < CENTROIDS:
        raise Unsupported(f"n_samples={n_rows}: {asked_by} learns {CENTROIDS} centroids a part; give as many rows")
