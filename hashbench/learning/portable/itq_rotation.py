"""The rotation of iterative quantization, the same bits on every processor."""

from __future__ import annotations

import numpy as np

from hashbench.learning.portable.exact import on_grid, shared_bits
from hashbench.learning.portable.rotations import nearest_rotation, random_rotation

STEPS = 51
"""Alternations in the authors' code, 0 to 50."""
ROTATION_BITS, MOST_BITS = 22, 24
"""Binary digits of the rotation, and at most of the rotated values whose signs are taken: the precision of float32."""
ROWS = 1024
"""Training rows that are rotated at once, so that intermediate values stay in the cache."""


def itq_rotation(values: np.ndarray, n_iter: int, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
    """Return the rotation R that makes ‖sgn(V R) − V R‖² small (Gong and Lazebnik, CVPR 2011, section 2.2).

    Parameters
    ----------
    values : ndarray of shape (n, n_bits), float64
        V, the centred data in terms of its principal directions.
    n_iter : int
        Number of alternations.
    rng : Generator
        Draws the first rotation.

    Returns
    -------
    rotation : ndarray of shape (n_bits, n_bits), float64
    losses : list of float
        Quantization loss ‖B − V R‖² / n of each alternation (equation 2), before its rotation is updated.
    """
    n, n_bits = values.shape
    # With so few digits V @ R and Vᵀ @ B are exact, hence the same with every library and processor.
    digits = min(MOST_BITS, shared_bits(n_bits) - ROTATION_BITS, shared_bits(n))
    V = on_grid(values, digits).astype(np.float32)
    R = random_rotation(n_bits, rng)
    squares = np.square(V, dtype=np.float64).sum() / n + n_bits  # ‖V‖² + ‖B‖², over n
    losses = []
    for _ in range(n_iter):
        correlation = _correlation(V, on_grid(R, ROTATION_BITS))
        losses.append(float(squares - 2 * (correlation * R).sum() / n))
        R = nearest_rotation(correlation, R)
    return R, losses


def _correlation(V: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Return Vᵀ sgn(V R), computed in blocks of rows; the sign of 0 is 1."""
    total, space = np.zeros_like(R), np.empty((2, ROWS, len(R)))
    for start in range(0, len(V), ROWS):
        values, signs = space[:, : len(V) - start]
        values[:] = V[start : start + ROWS]
        np.matmul(values, R, out=signs)
        signs += 0.0  # a library may give −0
        np.copysign(1.0, signs, out=signs)
        total += values.T @ signs
    return total
