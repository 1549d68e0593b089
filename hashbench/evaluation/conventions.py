"""Mean average precision of codes under every convention of the literature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hashbench.evaluation.counting import stable_order
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.evaluation.counting.histograms import Histograms
from hashbench.evaluation.evaluate import evaluate
from hashbench.evaluation.metrics import MAP, SuccessAt
from hashbench.evaluation.relevance import ByLabels, masks_of
from hashbench.evaluation.script_orders import ORDERS, library_sums

CUTOFFS = (1000, 5000, None)
DIVISORS = ("hits", "R", "min(k,R)")
TIES = ("expected", "stable", "class-sorted", "optimistic", "pessimistic")
LIBRARY_TIES = tuple(ORDERS)
"""Orders that sorting functions leave here; they differ between versions and processors."""


def conventions(
    query_codes: np.ndarray,
    database_codes: np.ndarray,
    query_labels: np.ndarray,
    database_labels: np.ndarray,
    n_bits: int,
    cutoffs: Sequence[int | None] = CUTOFFS,
    *,
    scripts: bool = False,
    advance: Callable[[int], object] = lambda n: None,
) -> list[dict[str, Any]]:
    """Return the mean average precision of codes under every convention.

    Parameters
    ----------
    query_codes, database_codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
        Packed; the database in the order in which it is stored.
    query_labels, database_labels : ndarray
        int64 classes of shape (n,); or bool of shape (n, n_labels), or uint64 masks of shape (n, n_words): items
        that share a label are relevant to each other.
    n_bits : int
    cutoffs : sequence of int or None
        None means the whole database.
    scripts : bool
        Whether what published scripts do on this machine is read too: the orders of `LIBRARY_TIES`, which take a sort
        of the database for each query, and ``irrelevant dropped``.
    advance : callable
        Called with numbers of queries as the libraries sort.

    Returns
    -------
    list of dict
        ``cutoff``: a cut-off as text, or ``"all"``; none that is larger than the database.
        ``divisor``: by what the sum of precisions at the relevant ranks up to the cut-off is divided: their
        number, ``hits``; all relevant items, ``R``; or ``min(k,R)``. At ``all`` the three are one, given as
        ``R``.
        ``ties``: how items at one distance are ranked. ``expected`` averages over all orders; ``stable``
        keeps the database's order, as a stable sort does; ``class-sorted`` likewise, the database sorted by
        class before (multi-label: by each item's lowest label); ``optimistic`` and ``pessimistic`` are each
        query's best and worst order. With ``scripts`` also ``numpy``, `numpy.argsort`; ``numpy-partition``,
        `numpy.argpartition` and then `numpy.argsort`; ``torch``, `torch.argsort`; ``torch-topk``, `torch.topk`.
        ``without_hit``: queries without a hit up to the cut-off count ``0`` or are ``dropped`` from the mean;
        with ``scripts``, where some query has nothing relevant in the whole database, also ``irrelevant dropped``:
        those are dropped, and others without a hit count 0.
        Which ones those are is up to the order of ties: with dropping, ``expected`` is a quotient of two
        expectations, and ``pessimistic`` may be above it.
        ``mAP``: the value; NaN where every query was dropped.

    Raises
    ------
    ValueError
        Codes and labels do not fit together, or a cut-off is below 1.
    """
    for cutoff in cutoffs:
        if cutoff is not None and cutoff < 1:
            raise ValueError(f"cutoffs: {cutoff}: expected at least 1, or None for the whole database")
    histograms = evaluate(query_codes, database_codes, query_labels, database_labels, (), n_bits=n_bits).histograms
    query_labels, database_labels = (
        masks_of(labels) if labels.dtype == bool else labels for labels in (query_labels, database_labels)
    )
    n_database = histograms.n_database
    cutoffs = [cutoff for cutoff in cutoffs if cutoff is None or cutoff <= n_database]
    depths = np.array([cutoff or n_database for cutoff in cutoffs])
    as_stored = np.arange(n_database)
    sorted_by_class = np.argsort(_class_key(database_labels), kind="stable")
    in_order = {
        name: _stable(query_codes, database_codes[order], query_labels, database_labels[order], histograms, depths)
        for name, order in (("stable", as_stored), ("class-sorted", sorted_by_class))
    }
    if scripts:
        labels = ByLabels.checked(query_labels, database_labels, len(query_codes), n_database)
        in_order |= library_sums(query_codes, database_codes, labels, n_bits, depths.tolist(), advance)
    some = histograms.n_relevant > 0
    n_relevant = np.maximum(histograms.n_relevant, 1)
    rows = []
    for c, (cutoff, depth) in enumerate(zip(cutoffs, depths.tolist(), strict=True)):
        most = np.minimum(depth, n_relevant)
        for ties in (*TIES, *LIBRARY_TIES) if scripts else TIES:
            if ties in in_order:
                sums, hits = (array[:, c] for array in in_order[ties])
                by_hits = sums / np.maximum(hits, 1)
            else:
                sums = MAP(depth, "min(k,R)", ties).per_query(histograms) * most  # type: ignore[arg-type]
                by_hits = MAP(depth, "hits", ties).per_query(histograms)  # type: ignore[arg-type]
            with_hit = SuccessAt(depth).per_query(histograms) if ties == "expected" else by_hits > 0
            values = {"hits": by_hits, "R": sums / n_relevant, "min(k,R)": sums / most}
            for divisor in DIVISORS if cutoff else ("R",):
                scored = float(values[divisor].sum())
                kept = float(with_hit.sum())
                convention = {"cutoff": str(cutoff or "all"), "divisor": divisor, "ties": ties}
                rows += [
                    {**convention, "without_hit": "0", "mAP": scored / len(sums)},
                    {**convention, "without_hit": "dropped", "mAP": scored / kept if kept else np.nan},
                ]
                if scripts and cutoff and some.any() and not some.all():
                    rows.append({**convention, "without_hit": "irrelevant dropped", "mAP": scored / some.sum()})
    return rows


def _stable(
    query_codes: np.ndarray,
    database_codes: np.ndarray,
    query_labels: np.ndarray,
    database_labels: np.ndarray,
    histograms: Histograms,
    depths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of precisions and numbers of hits, both (n_queries, n_cutoffs), in the database's order."""
    sums = np.zeros((len(query_codes), len(depths)))
    hits = np.zeros(sums.shape, np.int64)
    single = database_labels.ndim == 1
    kernel = stable_order.stable_by_class if single else stable_order.stable_by_mask
    kernel(
        item_words(query_codes),
        query_labels,
        word_major(database_codes),
        database_labels if single else np.ascontiguousarray(database_labels.T),
        histograms.total,
        histograms.relevant,
        depths,
        sums,
        hits,
    )
    return sums, hits


def _class_key(labels: np.ndarray) -> np.ndarray:
    """Return what sorts items by class: the class, or the lowest label, items without one last."""
    if labels.ndim == 1:
        return labels
    word = (labels != 0).argmax(axis=1)
    value = labels[np.arange(len(labels)), word]
    lowest = np.frexp((value & (~value + np.uint64(1))).astype(np.float64))[1]
    return np.where(value == 0, 64 * labels.shape[1] + 1, 64 * word + lowest)
