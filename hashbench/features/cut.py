"""Vectors cut to their first dimensions, as Matryoshka embeddings may be."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from hashbench.errors import Unsupported
from hashbench.features.source import Features
from hashbench.features.unit import BLOCK_ROWS


class CutVectors:
    """The first dimensions of vectors, scaled so that each is as long as its whole vector; cut when they are read.

    Vectors of length 1 have length 1 again, as sentence-transformers gives them with ``truncate_dim`` and
    ``normalize_embeddings``; others keep what their lengths tell of Euclidean distances. A vector that has nothing in
    these dimensions stays zero.

    Parameters
    ----------
    data : ndarray of shape (n, d), float
        May be a memory-map.
    dims : int
        How many dimensions are kept, at most d.
    """

    def __init__(self, data: np.ndarray, dims: int) -> None:
        self.data, self.dims = data, dims
        self.shape = (len(data), dims)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows, float32."""
        whole = self.data[rows]
        cut = np.empty((len(whole), self.dims), np.float32)
        for start in range(0, len(whole), BLOCK_ROWS):
            block = whole[start : start + BLOCK_ROWS].astype(np.float64)
            kept = block[:, : self.dims]
            lengths = np.linalg.norm(kept, axis=1)
            scale = np.divide(np.linalg.norm(block, axis=1), lengths, out=np.ones(len(block)), where=lengths > 0)
            cut[start : start + len(block)] = kept * scale[:, None]
        return cut


def cut(features: Features, dims: int | None) -> Features:
    """Return features cut to their first ``dims`` dimensions; as they are where it is None.

    Raises
    ------
    Unsupported
        The features have fewer than ``dims`` dimensions.
    """
    if dims is None:
        return features
    width = features.data.shape[1]
    if dims > width:
        raise Unsupported(f"dims={dims}: the vectors have {width} dimensions; give at most as many")
    return replace(features, data=cast(np.ndarray, CutVectors(features.data, dims)))  # rows are all that is read
