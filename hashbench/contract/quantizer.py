"""The contract of a quantizer: codes that are ranked by the quantizer's distance, not by Hamming distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from hashbench.contract.checked_input import block_of, refuse_nonfinite
from hashbench.contract.estimator import Estimator
from hashbench.contract.values import BLOCK_ROWS
from hashbench.data.similarity import Similarity
from hashbench.errors import ContractError, Unsupported

CODE_BLOCK = 8192
"""Codes whose distances to queries are in memory at once."""
RESOLVED = 2.0**-53 * 2**20
"""A squared distance that is smaller than this share of the terms it is summed from has lost digits that count."""
PAIR_BYTES = 2**24
"""Size of the differences of pairs that are in memory at once."""
Search = Callable[[np.ndarray, int], np.ndarray]


class Quantizer(Estimator):
    """Base class of every quantizer: a scikit-learn estimator that turns vectors into bytes.

    A subclass writes ``__init__`` (keyword parameters, kept as given), ``fit``, ``encode_block``, ``distances`` and
    ``n_bytes``. One with a parameter ``n_bits`` is run at each code length that a run asks for, one without it gives
    codes of its own length. A quantizer with a ``random_state`` parameter is run once per seed, one without it
    once.

    Attributes
    ----------
    magnitudes : (float, float)
        Bounds of the largest absolute value of the training vectors. Beyond, squares leave the range of
        single precision, and codes would lose all without a word.

    See Also
    --------
    hashbench.contract.estimator.Estimator : The attributes that hash methods have, too.

    Notes
    -----
    Learned attributes end in an underscore and hold numpy arrays or JSON values, which is what `save` keeps; a
    quantizer with others writes `learned` and `set_learned`. Every number that a code needs besides its bits, such as a
    vector's length, is in the code's bytes: they are what a vector costs.
    """

    kind: ClassVar[str] = "quantizers"
    magnitudes: ClassVar[tuple[float, float]] = (1e-15, 1e15)

    def _check_rows(self, X: np.ndarray) -> None:
        """Refuse training vectors without a code, or too large or too small for what the quantizer computes in."""
        super()._check_rows(X)
        _refuse_magnitude(X, self)

    def fit(self, X: np.ndarray) -> Quantizer:
        """Learn the quantizer.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float32
            Training vectors. Other float dtypes are converted.

        Raises
        ------
        Unsupported
            The quantizer cannot be learned from this data.
        ValueError
            ``X`` is not a finite matrix.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fit")

    def encode_block(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of a block of finite vectors, (n, n_bytes) uint8."""
        raise NotImplementedError(f"{type(self).__name__} must define encode_block")

    def distances(self, queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return estimates of squared Euclidean distances; a constant of each query may be added to them.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_features), float32
        codes : ndarray of shape (n, n_bytes), uint8

        Returns
        -------
        ndarray of shape (n_queries, n), float32 or float64
            Lower is nearer.
        """
        raise NotImplementedError(f"{type(self).__name__} must define distances")

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return codes, in bounded memory.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Real numbers; may be a read-only memory-map.

        Returns
        -------
        ndarray of shape (n_samples, n_bytes), uint8

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            ``X`` differs from the training data in width or columns, or holds anything but finite real numbers; or a
            parameter was changed after ``fit``.
        ContractError
            The codes have the wrong shape or type.
        """
        X = self._usable(X, "encode")
        codes = np.empty((len(X), self.n_bytes(self.n_features_in_)), np.uint8)
        for start in range(0, len(X), BLOCK_ROWS):
            rows = block_of(X, start)
            refuse_nonfinite(rows, start, X)
            block = self.encode_block(rows)
            if block.shape != (len(rows), codes.shape[1]) or block.dtype != np.uint8:
                raise ContractError(
                    f"{self.name}: encode_block returned shape {block.shape} and dtype {block.dtype}, expected "
                    f"({len(rows)}, {codes.shape[1]}) uint8"
                )
            codes[start : start + len(rows)] = block
        return codes

    def products(self, queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return estimates of inner products, negative, so that lower is nearer.

        ‖q − x‖² − ‖x‖² = ‖q‖² − 2 ⟨q, x⟩, and ‖x‖² is the squared distance to 0: so where a distance is estimated by
        a product with the query, this is the very estimate of that product.

        Parameters
        ----------
        queries, codes
            As for `distances`.

        Returns
        -------
        ndarray of shape (n_queries, n), float64
            A constant of each query may be added, as to `distances`.
        """
        nothing = np.zeros((1, queries.shape[1]), np.float32)
        products = self.distances(queries, codes).astype(np.float64)
        products -= self.distances(nothing, codes)
        products -= np.square(queries, dtype=np.float64).sum(axis=1)[:, None]
        products /= 2
        return products

    def compared(self, queries: np.ndarray, codes: np.ndarray, similarity: Similarity = "euclidean") -> np.ndarray:
        """Return what `searcher` ranks by: `distances`, also of vectors of length 1 (cosine), or `products`."""
        return (self.products if similarity == "ip" else self.distances)(queries, codes)

    def searcher(self, codes: np.ndarray, similarity: Similarity = "euclidean") -> Search:
        """Return ``search(queries, k)``, which gives the rows of the k nearest codes, nearest first, (n_queries, k).

        Parameters
        ----------
        codes : ndarray of shape (n, n_bytes), uint8
        similarity : {"euclidean", "cosine", "ip"}
            By the inner product, the nearest are those with the greatest one; by cosine, vectors and queries are to
            have length 1.
        """

        def search(queries: np.ndarray, k: int) -> np.ndarray:
            best = np.empty((len(queries), 0), np.float32)
            rows = np.empty((len(queries), 0), np.int64)
            for start in range(0, len(codes), CODE_BLOCK):
                found = self.compared(queries, codes[start : start + CODE_BLOCK], similarity)
                best, rows = _merged(best, rows, found, start, k)
            order = np.argsort(best, axis=1, kind="stable")
            return np.take_along_axis(rows, order, axis=1)

        return search

    def to_faiss(self, similarity: Similarity = "euclidean") -> Any:
        """Return an index of faiss, trained and empty, that takes vectors and finds the neighbours of `searcher`.

        Parameters
        ----------
        similarity : {"euclidean", "cosine", "ip"}
            As for `searcher`.

        Raises
        ------
        Unsupported
            faiss has no index that finds the same neighbours, or faiss is not installed.
        """
        raise Unsupported(f"{self.name} has no index of faiss that finds the same neighbours")

    def _probe(self, row: np.ndarray) -> tuple[str, Any, tuple[int, int]]:
        return "distances", self.distances(row, self.encode(row)), (1, 1)


def _merged(
    best: np.ndarray, rows: np.ndarray, distances: np.ndarray, start: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest so far, in ascending order of rows, with a block's among them."""
    row_numbers = np.broadcast_to(np.arange(start, start + distances.shape[1]), distances.shape)
    best, rows = np.concatenate([best, distances], axis=1), np.concatenate([rows, row_numbers], axis=1)
    if best.shape[1] <= k:
        return best, rows
    kept = np.sort(np.argpartition(best, k - 1, axis=1)[:, :k], axis=1)
    return np.take_along_axis(best, kept, axis=1), np.take_along_axis(rows, kept, axis=1)


def _refuse_magnitude(X: np.ndarray, quantizer: Quantizer) -> None:
    """Raise `Unsupported` if vectors are too large or too small for what a quantizer computes in."""
    largest, (least, most) = max(float(X.max()), -float(X.min())), quantizer.magnitudes
    if largest and not least <= largest <= most:
        advice = "divide" if largest > most else "multiply"
        raise Unsupported(
            f"the largest absolute value of X is {largest:.3g}: {quantizer.name} keeps its precision from {least:g} to "
            f"{most:g}; {advice} all vectors by one constant"
        )


def decoded_distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances of queries to decoded vectors.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, d), float
    vectors : ndarray of shape (n, d), float

    Returns
    -------
    ndarray of shape (n_queries, n), float64

    Notes
    -----
    |q|² + |x|² − 2 ⟨q, x⟩ loses the digits of a distance that is small compared with |q| and |x|. So both are centred,
    summed in float64, and pairs for which even its rounding counts are computed from their differences.
    """
    items, centred_queries = vectors.astype(np.float64), queries.astype(np.float64)
    centre = items.mean(axis=0)
    items -= centre
    centred_queries -= centre
    query_norms, item_norms = (np.einsum("ij,ij->i", rows, rows) for rows in (centred_queries, items))
    squared = centred_queries @ items.T
    squared *= -2
    squared += query_norms[:, None]
    squared += item_norms
    lost = RESOLVED * (items.shape[1] + 16)
    rows, columns = np.nonzero(squared < lost * (np.sqrt(query_norms)[:, None] + np.sqrt(item_norms.max())) ** 2)
    doubtful = squared[rows, columns] < lost * (np.sqrt(query_norms)[rows] + np.sqrt(item_norms)[columns]) ** 2
    rows, columns = rows[doubtful], columns[doubtful]
    step = max(1, PAIR_BYTES // (8 * items.shape[1]))
    for first in range(0, len(rows), step):
        pairs = rows[first : first + step], columns[first : first + step]
        difference = centred_queries[pairs[0]] - items[pairs[1]]
        squared[pairs] = np.einsum("ij,ij->i", difference, difference)
    return squared
