"""Spectral hashing (SH)."""

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.learning.portable.decisions import decide_waves, dots
from hashbench.learning.principal import centred_values, principal_axes


class SH(HashMethod):
    """Spectral hashing: the smoothest eigenfunctions of the Laplacian on a box around the principal components.

    Source: Weiss, Torralba and Fergus, Spectral hashing, NIPS 2008, section 3. For data uniform on [a, b] the
    eigenfunctions are sin(π/2 + kπ/(b − a) · x) (equation 7) and their eigenvalues grow with the frequency (equation
    8). As in the authors' code the box runs from the least to the greatest training value (not over percentiles, which
    that code computes and then overwrites), a direction of width R gets the modes k = 1 … ⌈(n_bits + 1) R / R_max⌉ − 1,
    and the ``n_bits`` of lowest frequency over all directions are the bits, without the constant mode. There may be
    more bits than features. Deterministic; values are computed in float32, and again in float64 where rounding could
    decide their sign.

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
        Each bit's ω = kπ/R, ascending.

    Kind
    ----
    graph

    Fidelity
    --------
    Written from the paper, with the box of the authors' MATLAB code. It was not compared with that code. A test
    compares codes with a plain float64 computation of equations 7 and 8.
    """

    carries_nan = True
    portable = True
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
        mean, self.directions_ = principal_axes(X, n_directions, "SH")
        self.low_, widths = _box(X, self.directions_, centred_values(X, mean, self.directions_))
        n_modes = np.maximum(np.ceil((self.n_bits + 1) * widths / widths.max()).astype(int) - 1, 0)
        axes = np.repeat(np.arange(n_directions), n_modes)
        modes = np.concatenate([np.arange(1, count + 1) for count in n_modes])
        frequencies = np.pi * modes / widths[axes]
        chosen = np.argsort(frequencies, kind="stable")[: self.n_bits]
        self.axes_, self.frequencies_ = axes[chosen], frequencies[chosen]
        return self

    def project(self, X):
        """Return the eigenfunctions' values, float32."""
        X = np.ascontiguousarray(X, np.float32)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            values = X @ self.directions_.astype(np.float32)
            values -= self.low_.astype(np.float32)
            phases = np.take(values, self.axes_, axis=1)
            phases *= self.frequencies_.astype(np.float32)
            phases += np.float32(np.pi / 2)
            functions = np.sin(phases)
        normals = np.ascontiguousarray(self.directions_.T, np.float64)
        decide_waves(X, functions, phases, normals, self.low_, self.axes_, self.frequencies_)
        return functions


def _box(X, directions, values):
    """Return the smallest projection of the training data on each direction, and the range of the projections."""
    ends = []
    for rows in (values.argmin(axis=0), values.argmax(axis=0)):
        pairs = zip(X[rows].astype(np.float64), np.ascontiguousarray(directions.T), strict=True)
        ends.append(np.array([dots(row[None], normal)[0] for row, normal in pairs]))
    low, high = ends
    return low, high - low
