"""Training on centred features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashbench.learning.deep import DeepMethod
from hashbench.learning.linear import mean, refuse_constant

if TYPE_CHECKING:
    import numpy as np


class CentredMethod(DeepMethod):
    """Base class of a method that can centre features by the mean of the training set.

    Features of most networks are never negative. Their cosines are then all high, and the outputs of a layer share a
    sign. The authors' codes do not centre features, which is ``center=False``.

    Parameters
    ----------
    center : bool
        Whether the training set's mean row is subtracted from features, before the network and before cosines.
    """

    center: bool = True

    def scaling(self, X: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Subtract the mean row where ``center`` says so."""
        return (mean(X), 1.0) if self.center else None

    def check(self, X: np.ndarray, device: str, devices: int) -> None:
        """Also refuse rows that are all equal: centred, they have neither cosine nor variance.

        Raises
        ------
        Unsupported
            A parameter is out of its range, or all rows of ``X`` are the same.
        """
        super().check(X, device, devices)
        refuse_constant(X, self.name)
