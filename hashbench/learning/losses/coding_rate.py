"""The coding rate of outputs, and the perceptron that CroVCA trains by it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


def coding_rate(outputs: Tensor, eps: float) -> Tensor:
    """Return the coding rate of rows scaled to length 1 (Yu et al., NeurIPS 2020), times (n + n_bits) / (n · n_bits).

    Parameters
    ----------
    outputs : Tensor of shape (n, n_bits)
    eps : float
        Squared error that the coding allows.

    Returns
    -------
    Tensor
        A scalar, in nats. NaN where an output is.
    """
    n, n_bits = outputs.shape
    rows = normalize(outputs)
    spread = torch.eye(n_bits, device=rows.device) + n_bits / (n * eps) * rows.T @ rows
    factor = torch.linalg.cholesky_ex(spread).L  # unlike `cholesky` it does not raise on NaN
    return factor.diagonal().log().sum() * (n + n_bits) / (n * n_bits)


class ViewCoder(nn.Module):
    """A perceptron with one hidden layer of ReLU that ends in batch normalisation of each of two views apart.

    Parameters
    ----------
    n_features, hidden, n_bits : int
        Widths.

    Attributes
    ----------
    coder : Sequential
        The perceptron for one view.
    """

    def __init__(self, n_features: int, hidden: int, n_bits: int) -> None:
        super().__init__()
        first, second = nn.Linear(n_features, hidden), nn.Linear(hidden, n_bits)
        for layer in (first, second):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.coder = nn.Sequential(first, nn.ReLU(), second, nn.BatchNorm1d(n_bits))

    def forward(self, views: Tensor) -> Tensor:
        """Return the outputs of the first views, then of the second, (2n, n_bits)."""
        return torch.cat([self.coder(view) for view in views.chunk(2)])
