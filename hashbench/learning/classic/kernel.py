"""Methods whose bits are weighted sums of Gaussian kernels with some training rows, the anchors."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported
from hashbench.learning.linear import NULL, blocks, mean, refuse_constant


class KernelMethod(HashMethod):
    """A method whose bits are the signs of ``K @ weights_ − offset_``; a subclass finds the two in ``fit``.

    K is exp(−d² / 2σ²) of the distances d to the anchors, in double precision.

    Attributes
    ----------
    anchors_ : ndarray of shape (m, n_features), float32
        Training rows.
    squared_width_ : float
        σ².
    weights_ : ndarray of shape (m, n_bits), float64
    offset_ : ndarray of shape (n_bits,), float64
    """

    n_anchors: int
    sigma: float | None = None
    unit_rows: bool = False

    def _place_anchors(self, X: np.ndarray, rng: np.random.Generator) -> None:
        """Draw ``n_anchors`` rows, or take all; where ``sigma`` is None, σ² is the mean squared distance to them.

        Raises
        ------
        Unsupported
            ``n_anchors`` or ``sigma`` is out of its range, or all rows are the same.
        """
        if self.n_anchors < 1:
            raise Unsupported(f"n_anchors={self.n_anchors}: expected at least 1")
        if self.sigma is not None and not 0 < self.sigma < np.inf:
            raise Unsupported(f"sigma={self.sigma}: expected a number above 0")
        refuse_constant(X, self.name)
        self.anchors_ = X[np.sort(rng.choice(len(X), min(self.n_anchors, len(X)), replace=False))]
        self.squared_width_ = self._mean_squared_distance(X) if self.sigma is None else float(self.sigma) ** 2

    def _mean_squared_distance(self, X: np.ndarray) -> float:
        anchors = self._rows(self.anchors_)
        centre = mean(anchors)
        squares, total = 0.0, np.zeros(X.shape[1])
        for block in blocks(X):
            rows = self._rows(block) - centre
            squares += float(np.square(rows).sum())
            total += rows.sum(axis=0)
        return squares / len(X) + float(np.square(anchors - centre).sum()) / len(anchors)

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Return rows as float64, of length 1 where ``unit_rows`` says so."""
        X = X.astype(np.float64)
        if self.unit_rows:
            lengths = np.sqrt(np.square(X).sum(axis=1, keepdims=True))
            X /= np.where(lengths > 0, lengths, 1.0)
        return X

    def _kernel(self, X: np.ndarray) -> np.ndarray:
        """Return K, (n, m) float64."""
        anchors, rows = self._rows(self.anchors_), self._rows(X)
        centre = anchors.mean(axis=0)  # so that less is lost where distances are small beside lengths
        anchors -= centre
        rows -= centre
        squared = rows @ anchors.T
        squared *= -2
        squared += np.square(rows).sum(axis=1)[:, None]
        squared += np.square(anchors).sum(axis=1)
        np.maximum(squared, 0.0, out=squared)
        squared /= -2 * self.squared_width_
        return np.exp(squared, out=squared)

    def project(self, X: np.ndarray) -> np.ndarray:
        """Return ``K @ weights_ − offset_``."""
        return self._kernel(X) @ self.weights_ - self.offset_


def regularized_inverse(gram: np.ndarray, ridge: float) -> np.ndarray:
    """Return (gram + ridge I)⁻¹ of a positive semi-definite matrix; directions that are rounding only are left out.

    Parameters
    ----------
    gram : ndarray of shape (m, m), float64
    ridge : float
        0 or more.
    """
    values, vectors = eigh(gram)
    values += ridge
    kept = values > NULL * values[-1]
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
