"""A pool of augmented views beside the features of the images themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from hashbench.features.hardware.upload import to_device
from hashbench.files.arrays import SharedArray, portable, received
from hashbench.learning.training.view_batches import ViewPool

BLOCK_ROWS = 4096


class CleanViewPool(ViewPool):
    """Precomputed features of views, and of the images without augmentation.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
        Features of the images.
    pool
        See `hashbench.learning.training.view_batches.ViewPool`.
    """

    def __init__(self, X: np.ndarray, *pool: Any) -> None:
        super().__init__(*pool)
        self.X = X

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send other processes the names of the files instead of their content, where arrays are memory-mapped."""
        return _opened, (portable(self.X), SharedArray(self.views), self.fresh, self.scaling, self.labels)

    def clean_blocks(self) -> Iterator[Tensor]:
        """Yield the images' features in order, as training sees them, in blocks of at most 4,096 rows."""
        for start in range(0, self.n_items, BLOCK_ROWS):
            yield self.scaled(to_device(self.X[start : start + BLOCK_ROWS], self.fabric.device))


def _opened(X: Any, views: SharedArray, *others: Any) -> CleanViewPool:
    return CleanViewPool(received(X), views.array, *others)
