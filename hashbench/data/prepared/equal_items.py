"""Finds items that are there twice: images of the same pixels or the same file, rows of the same values."""

from __future__ import annotations

import numpy as np

from hashbench.data.images import EncodedImages

SAMPLE = 64
"""Values of a row that are compared first; all of them only where these are those of another row."""
BLOCK_BYTES = 2**24


def equal_items(items: np.ndarray | EncodedImages) -> np.ndarray:
    """Return which items equal an earlier one.

    A sample of each item is hashed, in one pass; only items that share their sample with another are compared whole.
    A million rows of 768 float32 values take about two seconds, and no more memory than a few numbers an item.

    Parameters
    ----------
    items : ndarray of shape (n, ...), or EncodedImages
        Encoded images are equal if their files are.

    Returns
    -------
    ndarray of shape (m, 2), int64
        For each item that equals an earlier one, its row and the first row that it equals; rows ascending.

    Examples
    --------
    >>> equal_items(np.float32([[0, 1], [2, 3], [0, 1], [-0.0, 1]])).tolist()
    [[2, 0], [3, 0]]
    """
    return _pairs(items, _shared(_sample_hashes(items)))


def _sample_hashes(items: np.ndarray | EncodedImages) -> np.ndarray:
    """Return a hash of some values of each item, int64."""
    if isinstance(items, EncodedImages):
        lengths = np.diff(items.offsets)
        middles = items.offsets[:-1] + lengths // 2
        parts = (items.data[start : start + SAMPLE].tobytes() for start in middles.tolist())
        return np.fromiter(
            (hash((length, part)) for length, part in zip(lengths.tolist(), parts, strict=True)), np.int64
        )
    rows = items.reshape(len(items), -1)
    places = np.unique(np.linspace(0, rows.shape[1] - 1, SAMPLE).astype(np.int64))
    hashes = np.empty(len(rows), np.int64)
    step = max(1, BLOCK_BYTES // max(1, rows.itemsize * rows.shape[1]))
    for start in range(0, len(rows), step):
        block = _comparable(rows[start : start + step][:, places])
        hashes[start : start + step] = [
            hash(row) for row in block.view(f"V{block.itemsize * len(places)}")[:, 0].tolist()
        ]
    return hashes


def _comparable(rows: np.ndarray) -> np.ndarray:
    """Return rows whose bytes are equal where their values are: there is one zero."""
    return np.ascontiguousarray(rows + rows.dtype.type(0) if rows.dtype.kind == "f" else rows)


def _shared(hashes: np.ndarray) -> np.ndarray:
    """Return the rows whose hash another row has too, ascending."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    shared = np.zeros(len(hashes), bool)
    shared[order[1:][same]] = shared[order[:-1][same]] = True
    return np.flatnonzero(shared)


def _pairs(items: np.ndarray | EncodedImages, rows: np.ndarray) -> np.ndarray:
    """Return which of some rows equal an earlier one, by all of their bytes."""
    first: dict[int, list[int]] = {}
    pairs = []
    for row in rows.tolist():
        content = _content(items, row)
        known = first.setdefault(hash(content), [])
        equal = next((one for one in known if _content(items, one) == content), None)
        if equal is None:
            known.append(row)
        else:
            pairs.append((row, equal))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _content(items: np.ndarray | EncodedImages, row: int) -> bytes:
    return items.encoded(row) if isinstance(items, EncodedImages) else _comparable(items[row]).tobytes()
