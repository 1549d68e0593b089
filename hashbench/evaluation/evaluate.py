"""Scores codes: the public entry to the metrics, usable without anything else of hashbench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation import histograms as h
from hashbench.evaluation import metrics as m
from hashbench.evaluation.codes import as_packed
from hashbench.evaluation.spherical import spherical_histograms
from hashbench.progress import progress

SHOW_PROGRESS_FROM = 2 * 10**10
"""Query-item pairs from which an evaluation takes long enough to show how far it is."""


@dataclass(frozen=True)
class Evaluation(Mapping[str, float]):
    """Metric values by name, each the mean over queries.

    Attributes
    ----------
    values_by_name : dict from str to float
    per_query : dict from str to ndarray of shape (n_queries,), float64
    histograms : Histograms
        What the values were computed from; more metrics can be had from it.
    """

    values_by_name: dict[str, float]
    per_query: dict[str, np.ndarray]
    histograms: h.Histograms

    def __getitem__(self, name: str) -> float:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def evaluate(
    query_codes: np.ndarray,
    database_codes: np.ndarray,
    query_labels: np.ndarray | None = None,
    database_labels: np.ndarray | None = None,
    metrics: Sequence[str] = ("mAP@1000", "mAP@all"),
    *,
    neighbors: np.ndarray | None = None,
    n_bits: int | None = None,
    n_labels: int | None = None,
    distance: Literal["hamming", "spherical"] = "hamming",
    advance: Callable[[int], object] | None = None,
) -> Evaluation:
    """Score codes by exact, tie-aware metrics.

    Parameters
    ----------
    query_codes, database_codes : ndarray of shape (n, width)
        uint8 is packed (`numpy.packbits`), 8 bits a byte; bool and signed types hold one bit an entry, signed
        ones −1 and 1. The database may be a memory-map: it is read in shards.
    query_labels, database_labels : ndarray, optional
        Integers of shape (n,): items of one class are relevant to each other. bool of shape (n, n_labels), or
        uint64 bit masks of shape (n, n_words): items that share a label are.
    metrics : sequence of str
        Names such as ``mAP@1000``, ``mAP@all``, ``mAP@1000(min(k,R))``, ``mAP@all(pessimistic)``, ``P@100``,
        ``R@100``, ``P@r2``, ``nDCG@100``, ``recall@10``, ``recall10@100``.
    neighbors : ndarray of shape (n_queries, k), int, optional
        Database rows of each query's true nearest neighbours, nearest first, instead of labels.
    n_bits : int, optional
        Code length, where it is not the full width of packed codes.
    n_labels : int, optional
        How many labels uint64 masks hold; a bit beyond them is refused.
    distance : {"hamming", "spherical"}
        By what items are ranked. ``spherical`` is spherical hashing's |a ⊕ b| / |a ∧ b| (Heo et al., CVPR 2012,
        section 3.3), for codes of up to 128 bits; metrics within a Hamming radius do not go with it.
    advance : callable, optional
        Told the number of database items after each shard. By default a long evaluation shows its progress
        on standard error.

    Returns
    -------
    Evaluation
        A mapping from metric name to its mean over queries, with ``per_query[name]``.

    Raises
    ------
    ValueError
        An argument has an unusable shape, dtype or content; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from hashbench import evaluate
    >>> query = np.array([[1, 1, 1, -1]])
    >>> database = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, 1, 1], [1, -1, 1, -1]])
    >>> result = evaluate(query, database, np.array([7]), np.array([3, 7, 7, 3]), metrics=["mAP@all", "P@2"])
    >>> print({name: round(value, 4) for name, value in result.items()})
    {'mAP@all': 0.75, 'P@2': 0.5}
    >>> result.per_query["mAP@all"].tolist()
    [0.75]
    """
    wanted = [m.parse(name) for name in metrics]
    queries, bits = as_packed(query_codes, "query_codes")
    database, database_bits = as_packed(database_codes, "database_codes")
    if bits != database_bits:
        raise ValueError(f"query_codes have {bits} bits and database_codes {database_bits}: expected the same")
    if n_bits is not None and -(-n_bits // 8) != queries.shape[1]:
        raise ValueError(f"n_bits={n_bits} does not fit codes of {queries.shape[1]} bytes")
    relevance = _relevance(query_labels, database_labels, neighbors, len(queries), len(database), n_labels)
    if distance not in ("hamming", "spherical"):
        raise ValueError(f"distance={distance!r}: expected 'hamming' or 'spherical'")
    count = _histograms if distance == "hamming" else _spherical
    with _display(len(queries) * len(database), len(database), advance) as told:
        found = count(queries, database, relevance, n_bits or bits, wanted, told)
    return score(found, metrics)


@contextmanager
def _display(n_pairs: int, n_items: int, advance: Callable[[int], object] | None) -> Iterator[Callable[[int], object]]:
    """Yield what is told after each shard: the caller's own, a progress bar, or nothing worth showing."""
    if advance is not None:
        yield advance
    elif n_pairs < SHOW_PROGRESS_FROM:
        yield lambda n: None
    else:
        with progress("scoring", n_items) as bar:
            yield bar.advance


def _relevance(
    query_labels: np.ndarray | None,
    database_labels: np.ndarray | None,
    neighbors: np.ndarray | None,
    n_queries: int,
    n_database: int,
    n_labels: int | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return checked (query labels, database labels), or (neighbours, None)."""
    if neighbors is not None:
        return _neighbors(neighbors, n_queries, n_database), None
    if query_labels is None or database_labels is None:
        raise ValueError("give query_labels and database_labels, or neighbors")
    own = _labels(query_labels, n_queries, "query_labels", n_labels)
    theirs = _labels(database_labels, n_database, "database_labels", n_labels)
    if own.ndim != theirs.ndim or own.shape[1:] != theirs.shape[1:]:
        raise ValueError(
            f"query_labels have shape {np.shape(query_labels)} and database_labels "
            f"{np.shape(database_labels)}: expected the same kind and number of labels"
        )
    return own, theirs


def _histograms(
    queries: np.ndarray,
    database: np.ndarray,
    relevance: tuple[np.ndarray, np.ndarray | None],
    n_bits: int,
    wanted: Sequence[m.Metric],
    advance: Callable[[int], object],
) -> h.Histograms:
    """Count by class, by label mask, or by true neighbours."""
    own, theirs = relevance
    shards = h.split_into_shards(database, theirs, -(-queries.shape[1] // 8))
    if theirs is None:
        recalls = [metric for metric in wanted if isinstance(metric, m.NeighborRecall)]
        depths = {metric.k for metric in recalls}
        deepest = max(recalls, key=lambda metric: metric.k, default=None)
        if deepest is not None and deepest.k > own.shape[1]:
            raise ValueError(f"{deepest!r} needs {deepest.k} neighbors, got {own.shape[1]}")
        return h.neighbor_histograms(queries, own, shards, n_bits, depths=depths, advance=advance)
    if own.ndim == 1:
        return h.class_histograms(queries, own, shards, n_bits, advance)
    graded = any(isinstance(metric, m.NDCG) for metric in wanted)
    return h.mask_histograms(queries, own, shards, n_bits, graded=graded, advance=advance)


def _spherical(
    queries: np.ndarray,
    database: np.ndarray,
    relevance: tuple[np.ndarray, np.ndarray | None],
    n_bits: int,
    wanted: Sequence[m.Metric],
    advance: Callable[[int], object],
) -> h.Histograms:
    """Count by spherical Hamming distance; the database is counted in groups of equally many ones."""
    radius = next((metric for metric in wanted if isinstance(metric, m.Lookup)), None)
    if radius is not None:
        raise ValueError(f"{radius!r} is within a Hamming radius: it does not go with distance='spherical'")
    own, theirs = relevance

    def count(rows: np.ndarray) -> h.Histograms:
        if theirs is not None:
            return _histograms(queries, database[rows], (own, theirs[rows]), n_bits, wanted, advance)
        place = np.full(len(database), -1)
        place[rows] = np.arange(len(rows))
        return _histograms(queries, database[rows], (place[own], None), n_bits, wanted, advance)

    return spherical_histograms(queries, database, n_bits, count)


def score(histograms: h.Histograms, metrics: Sequence[str]) -> Evaluation:
    """Compute metrics from histograms that are there already."""
    per_query = {name: m.parse(name).per_query(histograms) for name in metrics}
    return Evaluation({name: float(values.mean()) for name, values in per_query.items()}, per_query, histograms)


def masks_of(labels: np.ndarray) -> np.ndarray:
    """Return a bool label matrix (n, n_labels) as uint64 bit masks (n, ceil(n_labels / 64))."""
    n, n_labels = labels.shape
    padded = np.zeros((n, -(-n_labels // 64) * 64), bool)
    padded[:, :n_labels] = labels
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _labels(labels: np.ndarray, n: int, name: str, n_labels: int | None) -> np.ndarray:
    """Return int64 classes (n,) or uint64 masks (n, n_words)."""
    labels = np.asarray(labels)
    if labels.ndim not in (1, 2) or len(labels) != n:
        raise ValueError(f"{name} has shape {labels.shape}, expected ({n},) or ({n}, n_labels)")
    if labels.ndim == 1:
        if labels.dtype.kind not in "iu":
            raise ValueError(f"{name} has dtype {labels.dtype}, expected integers")
        return labels.astype(np.int64)
    if labels.dtype == np.uint64:
        if n_labels is not None:
            _refuse_bits_beyond(labels, n_labels, name)
        return np.ascontiguousarray(labels)
    if n_labels is not None and labels.shape[1] != n_labels:
        raise ValueError(f"{name} has shape {labels.shape}, expected ({n}, {n_labels})")
    if labels.dtype != bool:
        if labels.dtype.kind not in "iuf" or not np.isin(labels, (0, 1)).all():
            raise ValueError(f"{name} has dtype {labels.dtype}, expected a matrix of 0 and 1, or uint64 masks")
        labels = labels.astype(bool)
    return masks_of(labels)


def _refuse_bits_beyond(masks: np.ndarray, n_labels: int, name: str) -> None:
    """Raise if a mask has a bit at or beyond ``n_labels``, or another width than that many labels need."""
    if masks.shape[1] != -(-n_labels // 64):
        raise ValueError(f"{name} has shape {masks.shape}, expected ({len(masks)}, {-(-n_labels // 64)}) words")
    beyond = masks[:, -1] >> np.uint64((n_labels - 1) % 64) > 1
    if beyond.any():
        row = int(np.argmax(beyond))
        label = 64 * (masks.shape[1] - 1) + int(masks[row, -1]).bit_length() - 1
        raise ValueError(f"{name} has label {label} in row {row}, expected labels 0 to {n_labels - 1}")


def _neighbors(neighbors: np.ndarray, n_queries: int, n_database: int) -> np.ndarray:
    neighbors = np.asarray(neighbors)
    if neighbors.ndim != 2 or len(neighbors) != n_queries or neighbors.dtype.kind not in "iu":
        raise ValueError(
            f"neighbors has shape {neighbors.shape} and dtype {neighbors.dtype}, expected integers ({n_queries}, k)"
        )
    if neighbors.size and (neighbors.min() < 0 or neighbors.max() >= n_database):
        odd = neighbors.min() if neighbors.min() < 0 else neighbors.max()
        raise ValueError(f"neighbors names row {odd}, the database has {n_database}")
    ordered = np.sort(neighbors, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise ValueError(f"neighbors names a database row twice for query {np.argmax(twice)}")
    return neighbors.astype(np.int64)
