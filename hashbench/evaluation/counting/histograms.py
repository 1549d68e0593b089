"""Distance histograms: all that a ranking metric with yes-or-no relevance needs to know of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from hashbench.evaluation.counting import bitplanes, kernels
from hashbench.evaluation.counting.codes import item_words, refuse_bits_beyond, word_major
from hashbench.evaluation.counting.plane_counting import MAX_BITS

SHARD_BYTES = 2 * 2**20
"""Size of a shard's codes: large enough to set up once for all queries, small compared with memory."""


@dataclass(repr=False)
class Histograms:
    """How many items, and how many relevant ones, are at each distance from each query.

    Attributes
    ----------
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
    n_relevant : ndarray of shape (n_queries,), int64
        All items relevant to each query.
    shared : ndarray of shape (n_queries, n_bits + 1, max_shared + 1), int64, optional
        Items by distance and number of shared labels, for graded relevance.
    nearest : dict from k to ndarray of shape (n_queries, n_bits + 1), int64
        How many of each query's k true nearest neighbours are at each distance, for recall@k and recallk@N.
    several_labels : bool
        Whether items have several labels, so that grades are known only where ``shared`` was counted.
    """

    total: np.ndarray
    relevant: np.ndarray
    n_relevant: np.ndarray
    shared: np.ndarray | None = None
    nearest: dict[int, np.ndarray] = field(default_factory=dict)
    several_labels: bool = False

    def __repr__(self) -> str:
        n_queries, n_levels = self.total.shape
        return f"Histograms(n_queries={n_queries}, n_levels={n_levels}, n_database={self.n_database})"

    @property
    def n_database(self) -> int:
        """Number of items in the database."""
        return int(self.total[0].sum())

    @property
    def grades(self) -> np.ndarray:
        """Items by distance and grade, like ``shared``; where relevance is yes or no, the grades are 0 and 1.

        Raises
        ------
        ValueError
            Items have several labels, and the shared labels were not counted.
        """
        if self.shared is not None:
            return self.shared
        if self.several_labels:
            raise ValueError("these histograms carry no counts of shared labels")
        return np.stack([self.total - self.relevant, self.relevant], axis=2)


Shards = Iterable[tuple[np.ndarray, np.ndarray | None]]


def split_into_shards(codes: np.ndarray, labels: np.ndarray | None) -> Shards:
    """Cut a database, memory-mapped or not, into shards of bounded size."""
    step = max(1, SHARD_BYTES // (8 * -(-codes.shape[1] // 8)))
    for start in range(0, len(codes), step):
        yield codes[start : start + step], None if labels is None else labels[start : start + step]


def _query_words(query_codes: np.ndarray, n_bits: int) -> np.ndarray:
    """Return queries as words; the kernels trust that no bit is set beyond n_bits."""
    refuse_bits_beyond(query_codes, n_bits, "query_codes")
    return item_words(query_codes)


def _checked(shards: Shards, n_bits: int) -> Shards:
    """Yield the shards, each once it is known that no bit is set beyond n_bits."""
    first_row = 0
    for codes, labels in shards:
        refuse_bits_beyond(codes, n_bits, "database_codes", first_row)
        first_row += len(codes)
        yield codes, labels


def _by_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, the order that sorts items by class, and where each class starts and the last ends.

    16-bit keys take numpy's radix sort, which is several times faster.
    """
    low, high = int(labels.min()), int(labels.max())
    keys = (labels - low).astype(np.uint16) if high - low < 2**16 else labels
    order = np.argsort(keys, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[starts], order, np.append(starts, len(labels)).astype(np.int64)


def _count_by_class(
    queries: np.ndarray,
    query_class: np.ndarray,
    codes: np.ndarray,
    starts: np.ndarray,
    total: np.ndarray,
    relevant: np.ndarray,
) -> None:
    """Add a shard that is ordered by class, by the kernel for its code length; see `bitplanes.histograms_by_class`."""
    words = word_major(codes)
    if total.shape[1] <= MAX_BITS + 1:
        planes = bitplanes.planes_of(words, 8 * codes.shape[1])
        bitplanes.histograms_by_class(queries, query_class, planes, len(codes), starts, total, relevant)
    else:
        kernels.histograms_by_class(queries, query_class, words, starts, total, relevant)


def class_histograms(
    query_codes: np.ndarray,
    query_labels: np.ndarray,
    shards: Shards,
    n_bits: int,
    advance: Callable[[int], object] = lambda n: None,
) -> Histograms:
    """Histograms where items of the query's class are relevant.

    Parameters
    ----------
    query_codes : ndarray of shape (n_queries, n_bytes), uint8
        Packed.
    query_labels : ndarray of shape (n_queries,), int64
    shards : iterable of (codes, labels)
        Parts of the database; histograms add up, so that memory does not grow with its size.
    n_bits : int
    advance : callable
        Called with the number of items after each shard.

    Raises
    ------
    ValueError
        A code has a bit beyond ``n_bits``; the message names its row.
    """
    queries = _query_words(query_codes, n_bits)
    total = np.zeros((len(queries), n_bits + 1), np.int64)
    relevant = np.zeros_like(total)
    for codes, labels in _checked(shards, n_bits):
        assert labels is not None
        classes, order, starts = _by_class(labels)
        position = np.searchsorted(classes, query_labels)
        known = position < len(classes)
        known[known] = classes[position[known]] == query_labels[known]
        _count_by_class(queries, np.where(known, position, -1), codes[order], starts, total, relevant)
        advance(len(codes))
    return Histograms(total, relevant, relevant.sum(axis=1))


def mask_histograms(
    query_codes: np.ndarray,
    query_masks: np.ndarray,
    shards: Shards,
    n_bits: int,
    *,
    graded: bool = False,
    advance: Callable[[int], object] = lambda n: None,
) -> Histograms:
    """Histograms where items that share a label with the query are relevant.

    Parameters
    ----------
    query_masks : ndarray of shape (n_queries, n_mask_words), uint64
        Bit b of word w is label 64 w + b.
    shards : iterable of (codes, masks)
    graded : bool
        Also count by the number of shared labels.

    The other parameters are those of `class_histograms`.
    """
    queries = _query_words(query_codes, n_bits)
    total = np.zeros((len(queries), n_bits + 1), np.int64)
    relevant = np.zeros_like(total)
    most = int(np.bitwise_count(query_masks).sum(axis=1).max())
    shared = np.zeros((*total.shape, most + 1), np.int64) if graded else None
    for codes, masks in _checked(shards, n_bits):
        assert masks is not None
        words, columns = word_major(codes), np.ascontiguousarray(masks.T)
        if shared is not None:
            kernels.histograms_by_shared(queries, query_masks, words, columns, shared)
        elif n_bits <= MAX_BITS:
            planes = bitplanes.planes_of(words, 8 * codes.shape[1])
            labels = bitplanes.planes_of(columns, 64 * len(columns))
            bitplanes.histograms_by_mask(queries, query_masks, planes, len(codes), labels, total, relevant)
        else:
            kernels.histograms_by_mask(queries, query_masks, words, columns, total, relevant)
        advance(len(codes))
    if shared is not None:
        total, relevant = shared.sum(axis=2), shared[:, :, 1:].sum(axis=2)
    return Histograms(total, relevant, relevant.sum(axis=1), shared, several_labels=True)


def neighbor_histograms(
    query_codes: np.ndarray,
    neighbors: np.ndarray,
    shards: Shards,
    n_bits: int,
    *,
    depths: Iterable[int] = (),
    advance: Callable[[int], object] = lambda n: None,
) -> Histograms:
    """Histograms where a query's true nearest neighbours are relevant.

    Parameters
    ----------
    neighbors : ndarray of shape (n_queries, k), int64
        Database rows of the true neighbours, nearest first.
    depths : iterable of int
        Values of k for which recall@k is wanted; each at most the number of neighbours.

    The other parameters are those of `class_histograms`; the shards' labels are not read.
    """
    queries = _query_words(query_codes, n_bits)
    total = np.zeros((len(queries), n_bits + 1), np.int64)
    relevant = np.zeros_like(total)
    nearest = {k: np.zeros_like(total) for k in depths}
    nobody = np.full(len(queries), -1, np.int64)
    first = 0
    for codes, _ in _checked(shards, n_bits):
        words = word_major(codes)
        _count_by_class(queries, nobody, codes, np.array([0, len(codes)]), total, np.zeros_like(total))
        inside = (neighbors >= first) & (neighbors < first + len(codes))
        items = np.where(inside, neighbors - first, -1)
        kernels.histograms_of_items(queries, words, items, relevant)
        for k, counts in nearest.items():
            kernels.histograms_of_items(queries, words, np.ascontiguousarray(items[:, :k]), counts)
        first += len(codes)
        advance(len(codes))
    return Histograms(total, relevant, relevant.sum(axis=1), nearest=nearest)
