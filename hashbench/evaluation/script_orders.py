"""Average precision with ties in the order in which numpy and torch leave them on this machine.

Most published scripts rank by `numpy.argsort` or by torch, whose sorting keeps no order among equal distances. The
order that they leave depends on the library's version and on the processor: these readings are of this machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hashbench.evaluation.relevance import ByLabels

BLOCK_VALUES = 2**22


def _numpy(distances: np.ndarray, depth: int) -> np.ndarray:
    return np.argsort(distances, axis=1)


def _numpy_partition(distances: np.ndarray, depth: int) -> np.ndarray:
    nearest = np.argpartition(distances, depth - 1, axis=1)[:, :depth]
    order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
    return np.take_along_axis(nearest, order, axis=1)


def _torch(distances: np.ndarray, depth: int) -> np.ndarray:
    import torch

    return torch.argsort(torch.from_numpy(distances), dim=1).numpy()


def _torch_topk(distances: np.ndarray, depth: int) -> np.ndarray:
    import torch

    return torch.topk(torch.from_numpy(distances), depth, dim=1, largest=False)[1].numpy()


ORDERS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "numpy": _numpy,
    "numpy-partition": _numpy_partition,
    "torch": _torch,
    "torch-topk": _torch_topk,
}
"""How scripts rank: each returns items by distance, the nearest ``depth`` at least."""
OF_DEPTH = ("numpy-partition", "torch-topk")
"""Orders that depend on how many items are asked for."""


def library_sums(
    query_codes: np.ndarray,
    database_codes: np.ndarray,
    labels: ByLabels,
    n_bits: int,
    depths: Sequence[int],
    advance: Callable[[int], object] = lambda n: None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each of `ORDERS`, sums of precisions at the hits, and numbers of hits, up to each depth.

    Parameters
    ----------
    query_codes, database_codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
    labels : ByLabels
    n_bits : int
    depths : sequence of int
    advance : callable
        Called with the number of queries after each block.

    Returns
    -------
    dict from str to (sums, hits)
        float64 and int64, both of shape (n_queries, n_depths).
    """
    database = _signs(database_codes, n_bits)
    shape = len(query_codes), len(depths)
    found = {name: (np.zeros(shape), np.zeros(shape, np.int64)) for name in ORDERS}
    step = max(1, BLOCK_VALUES // len(database))
    for start in range(0, len(query_codes), step):
        part = slice(start, start + step)
        distances = 0.5 * (n_bits - _signs(query_codes[part], n_bits) @ database.T)
        relevant = labels.grades(part, ()) > 0
        for name, order in ORDERS.items():
            sums, hits = found[name]
            ranked = None
            for d, depth in enumerate(depths):
                if ranked is None or name in OF_DEPTH:
                    ranked = _precisions(np.take_along_axis(relevant, order(distances, depth), axis=1))
                at_hits, n_hits = ranked
                sums[part, d] = at_hits[:, :depth].sum(axis=1)
                hits[part, d] = n_hits[:, depth - 1]
        advance(len(distances))
    return found


def _precisions(ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the precision at each relevant rank, 0 elsewhere, and the numbers of relevant items up to each rank."""
    n_hits = np.cumsum(ranked, axis=1)
    return np.where(ranked, n_hits / np.arange(1, ranked.shape[1] + 1), 0.0), n_hits


def _signs(packed: np.ndarray, n_bits: int) -> np.ndarray:
    return np.unpackbits(packed, axis=1, count=n_bits).astype(np.float32) * 2 - 1
