"""Quantizers that are an index of faiss: a subclass builds it, the rest is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hashbench.contract.parameters import checked_n_bits
from hashbench.contract.quantizer import Quantizer, Search
from hashbench.data.similarity import Similarity
from hashbench.errors import Unsupported

CENTROIDS = 256
"""Centroids of each part of a product quantizer with one byte a part."""


class Part(NamedTuple):
    """A learned part of an index: its shape for vectors of some width, and the vector of faiss that holds it."""

    shape: Callable[[int], tuple[int, ...]]
    vector: Callable[[Any], Any]


def _last(index: Any) -> Any:
    """Return the index of codes behind the transformations, or the index itself."""
    faiss = faiss_module("the index")
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index


def _rotation(index: Any) -> Any:
    return faiss_module("the index").downcast_VectorTransform(index.chain.at(0))


def _metric(similarity: Similarity) -> int:
    faiss = faiss_module("the index")
    return faiss.METRIC_INNER_PRODUCT if similarity == "ip" else faiss.METRIC_L2


PARTS = {
    "rotation_": Part(lambda width: (width, width), lambda index: _rotation(index).A),
    "centroids_": Part(lambda width: (CENTROIDS, width), lambda index: _last(index).pq.centroids),
    "center_": Part(lambda width: (width,), lambda index: _last(index).center),
}
"""What an index may have learned, under the names that a file has for it."""


class FaissQuantizer(Quantizer):
    """A quantizer whose codes, distances and search are those of a faiss index.

    A subclass writes ``__init__``, ``n_bytes`` and ``new_index``, and names in ``parts`` what its index learns, so that
    it can be saved: as arrays, since faiss trusts the files that it reads.

    Attributes
    ----------
    parts : tuple of str
        Keys of `PARTS`.
    ranks_by_products : bool
        Whether the index ranks the same codes by the inner product, too.
    index_ : faiss.Index
        Trained and empty: an `IndexPreTransform`, or an index of codes.
    """

    magnitudes: ClassVar[tuple[float, float]] = (1e-9, 1e9)
    parts: ClassVar[tuple[str, ...]] = ()
    ranks_by_products: ClassVar[bool] = True

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

    def searcher(self, codes: np.ndarray, similarity: Similarity = "euclidean") -> Search:
        """Return the search of the index with these codes in it."""
        if similarity == "ip" and not self.ranks_by_products:
            return super().searcher(codes, similarity)
        index = self.filled(codes)
        index.metric_type = _last(index).metric_type = _metric(similarity)
        return lambda queries, k: index.search(np.ascontiguousarray(queries, np.float32), k)[1]

    def filled(self, codes: np.ndarray) -> Any:
        """Return a copy of the index that holds codes.

        Parameters
        ----------
        codes : ndarray of shape (n, n_bytes), uint8
            From `encode`.
        """
        index = self.to_faiss()
        add_codes(index, codes)
        return index

    def to_faiss(self, similarity: Similarity = "euclidean") -> Any:
        """Return a copy of the index.

        Raises
        ------
        Unsupported
            The codes hold squared lengths, so they cannot serve for the inner product.
        """
        if similarity == "ip" and not self.ranks_by_products:
            raise Unsupported(f"{self.name} has no index of faiss for codes that are ranked by the inner product")
        index = faiss_module(self.name).clone_index(self.index_)
        index.metric_type = _last(index).metric_type = _metric(similarity)
        return index

    def learned(self) -> dict[str, Any]:
        """Return the arrays that the index has learned.

        Raises
        ------
        TypeError
            The class does not name the learned arrays.
        """
        if not self.parts:
            raise TypeError(f"{self.name} does not say in parts what its index has learned")
        faiss, width = faiss_module(self.name), self.n_features_in_
        arrays = {name: faiss.vector_to_array(PARTS[name].vector(self.index_)) for name in self.parts}
        return {"n_features_in_": width} | {name: arrays[name].reshape(PARTS[name].shape(width)) for name in arrays}

    def set_learned(self, learned: dict[str, Any]) -> None:
        """Make the index of these arrays.

        Raises
        ------
        ValueError
            An array is missing, unexpected, or of another shape or dtype.
        """
        faiss, width = faiss_module(self.name), learned.get("n_features_in_")
        if not isinstance(width, int):
            raise ValueError(f"n_features_in_={width!r}: expected a whole number")
        arrays = {name: np.asarray(value) for name, value in learned.items() if name != "n_features_in_"}
        given = {name: (array.dtype.name, *array.shape) for name, array in arrays.items()}
        expected = {name: ("float32", *PARTS[name].shape(width)) for name in self.parts}
        if given != expected:  # seen before faiss takes memory for them
            raise ValueError(f"it has learned {given}, expected {expected}")
        index = self.new_index(width)
        for name in self.parts:
            faiss.copy_array_to_vector(np.ascontiguousarray(arrays[name]).ravel(), PARTS[name].vector(index))
        for part in (index, _last(index), *([_rotation(index)] if "rotation_" in self.parts else [])):
            part.is_trained = True
        self.n_features_in_, self.index_ = width, index


def add_codes(index: Any, codes: np.ndarray) -> None:
    """Add codes to an index, behind its transformations.

    Parameters
    ----------
    index : faiss.IndexPreTransform or faiss.IndexFlatCodes
    codes : ndarray of shape (n, n_bytes), uint8
        As the index itself encodes vectors.
    """
    last = _last(index)
    last.add_sa_codes(np.ascontiguousarray(codes))
    index.ntotal = last.ntotal


def faiss_module(name: str) -> Any:
    """Return faiss.

    Raises
    ------
    Unsupported
        faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise Unsupported(f"{name} needs faiss: pip install 'hashbench[faiss]'") from error
    return faiss


def new_rabitq(n_features: int, bits: int, query_bits: int, name: str) -> Any:
    """Return an untrained ``IndexRaBitQ``.

    Raises
    ------
    Unsupported
        A number is out of range, or faiss is not installed or too old.
    """
    faiss = faiss_module(name)
    if not 1 <= bits <= 9 or not 0 <= query_bits <= 8:
        raise Unsupported(f"bits={bits}, query_bits={query_bits}: expected 1 to 9 and 0 to 8")
    if not hasattr(faiss, "IndexRaBitQ"):
        raise Unsupported(f"faiss {faiss.__version__} has no RaBitQ: pip install 'faiss-cpu>=1.13.1'")
    several = [int(bits)] if bits > 1 else []
    try:
        index = faiss.IndexRaBitQ(n_features, faiss.METRIC_L2, *several)
    except (TypeError, NotImplementedError) as error:
        raise Unsupported(
            f"bits={bits}: faiss {faiss.__version__} has RaBitQ of 1 bit: pip install 'faiss-cpu>=1.13.1'"
        ) from error
    index.qb = int(query_bits)
    return index


def n_parts(n_bits: int, n_features: int, name: str) -> int:
    """Return how many parts a product quantizer has, one byte each.

    Raises
    ------
    Unsupported
        ``n_bits`` is not a whole number of bytes, or the vectors cannot be split into that many equal parts.
    ValueError
        ``n_bits`` is no positive integer.
    """
    checked_n_bits(n_bits)
    if n_bits % 8:
        raise Unsupported(f"n_bits={n_bits}: {name} gives whole bytes; take a multiple of 8")
    parts = n_bits // 8
    if n_features % parts:
        raise Unsupported(
            f"n_bits={n_bits}: {name} cuts vectors into {parts} equal parts, and {n_features} features cannot be "
            f"divided by {parts}; take another length"
        )
    return parts


def refuse_few(n_rows: int, name: str) -> None:
    """Refuse fewer training rows than a part has centroids.

    Raises
    ------
    Unsupported
        There are fewer training rows than centroids of a part.
    """
    if n_rows < CENTROIDS:
        raise Unsupported(f"n_samples={n_rows}: {name} learns {CENTROIDS} centroids a part; give as many rows")
