"""Codes of the training rows as variables of an optimisation: initial values, and the best codes for given weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit

from hashbench.learning.linear import blocks
from hashbench.learning.portable.itq_rotation import STEPS, itq_rotation
from hashbench.learning.portable.rotations import product
from hashbench.learning.principal import centred_values, principal_axes

if TYPE_CHECKING:
    from torch import Tensor, nn


def itq_codes(X: np.ndarray, n_bits: int, seed: int, method: str) -> np.ndarray:
    """Return the codes of iterative quantization, −1 or 1, (n, n_bits) float32.

    Raises
    ------
    Unsupported
        ``n_bits`` exceeds the number of features or of rows; the message names the method.
    """
    centre, principal = principal_axes(X, n_bits, method)
    rotation, _ = itq_rotation(centred_values(X, centre, principal), STEPS, np.random.default_rng(seed))
    values = centred_values(X, centre, product(principal, rotation))
    return np.where(values > 0, np.float32(1), np.float32(-1))


def start_from_moments(encoder: nn.Sequential, inputs: np.ndarray) -> None:
    """Initialise each layer of a perceptron with the leading eigenvectors of its inputs' second moment, without bias.

    Parameters
    ----------
    encoder : Sequential
        Linear layers with Sigmoid between them, none wider than the one before.
    inputs : ndarray of shape (n, n_features), float32
    """
    import torch

    with torch.no_grad():
        for layer in encoder[::2]:
            directions = moment_directions(inputs, layer.out_features)
            layer.weight.copy_(torch.from_numpy(directions.T))
            layer.bias.zero_()
            inputs = expit(inputs @ directions)


def moment_directions(inputs: np.ndarray, n_directions: int) -> np.ndarray:
    """Return the leading eigenvectors of the uncentred second moment.

    Parameters
    ----------
    inputs : ndarray of shape (n, width), float32
    n_directions : int
        At most ``width``.

    Returns
    -------
    ndarray of shape (width, n_directions), float32
        By descending eigenvalue; the largest component of each is positive.
    """
    width = inputs.shape[1]
    moment = np.zeros((width, width))
    for block in blocks(inputs):
        moment += block.T.astype(np.float64) @ block
    vectors = eigh(moment, subset_by_index=[width - n_directions, width - 1])[1][:, ::-1]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n_directions)])
    return (vectors * signs).astype(np.float32)


def best_codes(target: Tensor, weights: Tensor, sweeps: int) -> Tensor:
    """Return codes B of −1 and 1 that reduce ½ ‖B Wᵀ‖² − ⟨B, target⟩, by updates of one bit of all rows from B = 0.

    Parameters
    ----------
    target : Tensor of shape (n, n_bits)
    weights : Tensor of shape (n_features, n_bits)
        W.
    sweeps : int
        How often each bit is updated.
    """
    import torch

    products = (weights.T @ weights).fill_diagonal_(0)
    codes = torch.zeros_like(target)
    for _ in range(sweeps):
        for bit in range(codes.shape[1]):
            codes[:, bit] = torch.where(target[:, bit] > codes @ products[bit], 1.0, -1.0)
    return codes
