"""Spectral hashing (SH)."""

import numpy as np

from hashbench.learning.linear import blocks, principal_directions, rounding_slack
from hashbench.method import BLOCK_ROWS, HashMethod

PHASE_ROUNDING = np.float32(4 * np.finfo(np.float32).eps)
"""What float32 may make of a phase, as a share of it: its factors, its product and its sum are rounded."""


class SH(HashMethod):
    """Spectral hashing: the smoothest eigenfunctions of the Laplacian on a box around the principal components.

    Source: Weiss, Torralba and Fergus, Spectral hashing, NIPS 2008, section 3. For data uniform on [a, b] the
    eigenfunctions are sin(π/2 + kπ/(b − a) · x) (equation 7) and their eigenvalues grow with the frequency
    (equation 8). As in the authors' code the box runs from the least to the greatest training value (not over
    percentiles, which that code computes and then overwrites), a direction of width R gets the modes
    k = 1 … ⌈(n_bits + 1) R / R_max⌉ − 1, and the ``n_bits`` of lowest frequency over all directions are
    the bits; the constant mode is none. There may be more bits than features. Deterministic; values are computed in
    float32, and again in float64 where rounding could decide their sign.

    Parameters
    ----------
    n_bits : int
        Code length in bits.

    Attributes
    ----------
    directions_ : ndarray of shape (n_features, n_directions), float64
        Principal directions, at most ``n_bits`` of them.
    low_ : ndarray of shape (n_directions,), float64
        The box's lower corner: the training data's least projections.
    axes_ : ndarray of shape (n_bits,), int64
        Each bit's direction.
    frequencies_ : ndarray of shape (n_bits,), float64
        Each bit's ω = kπ/R, rising.
    slack_ : ndarray of shape (n_bits,), float32
        How far from zero an eigenfunction's value must be, whatever its phase, for its sign to be trusted.

    Fidelity
    --------
    Written from the paper, with the box of the authors' MATLAB code, beside which it was not run. A test compares its
    codes with a plain float64 computation of equations 7 and 8.
    """

    carries_nan = True
    paper = "Weiss et al., NIPS 2008"

    def __init__(self, n_bits=32):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        """Learn the directions and the box, and choose the modes.

        Raises
        ------
        Unsupported
            All rows are the same.
        """
        n_directions = min(self.n_bits, *X.shape)
        _, self.directions_ = principal_directions(X, n_directions, "SH")
        projected = [block.astype(np.float64) @ self.directions_ for block in blocks(X)]
        self.low_ = np.min([values.min(axis=0) for values in projected], axis=0)
        widths = np.max([values.max(axis=0) for values in projected], axis=0) - self.low_
        n_modes = np.maximum(np.ceil((self.n_bits + 1) * widths / widths.max()).astype(int) - 1, 0)
        axes = np.repeat(np.arange(n_directions), n_modes)
        modes = np.concatenate([np.arange(1, count + 1) for count in n_modes])
        frequencies = np.pi * modes / widths[axes]
        chosen = np.argsort(frequencies, kind="stable")[: self.n_bits]
        self.axes_, self.frequencies_ = axes[chosen], frequencies[chosen]
        self.slack_ = (rounding_slack(X, self.directions_)[self.axes_] * self.frequencies_).astype(np.float32)
        return self

    def project(self, X):
        """Return the eigenfunctions' values, float32, or float64 where most are doubtful."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = X @ self.directions_.astype(np.float32)
            values -= self.low_.astype(np.float32)
            phases = values[:, self.axes_]
            phases *= self.frequencies_.astype(np.float32)
            phases += np.float32(np.pi / 2)
            functions = np.sin(phases)
            doubtful = np.flatnonzero(np.abs(functions) < self.slack_ + PHASE_ROUNDING * np.abs(phases))
        if len(doubtful) > len(X):  # far from the origin float32 says little
            values = X.astype(np.float64) @ self.directions_ - self.low_
            return np.sin(values[:, self.axes_] * self.frequencies_ + np.pi / 2)
        rows, bits = np.divmod(doubtful, self.axes_.size)
        for some in np.array_split(np.arange(len(rows)), -(-len(rows) // BLOCK_ROWS) or 1):
            functions[rows[some], bits[some]] = self._exactly(X[rows[some]], bits[some])
        return functions

    def _exactly(self, X, bits):
        """Return one eigenfunction's value of each row, float64."""
        axes = self.axes_[bits]
        values = np.einsum("ij,ij->i", X.astype(np.float64), self.directions_.T[axes]) - self.low_[axes]
        return np.sin(values * self.frequencies_[bits] + np.pi / 2)
