"""The network of twin-bottleneck hashing: an autoencoder that averages along a graph of its codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hashbench.learning.layers import binarize


class TwinBottleneck(nn.Module):
    """Autoencoder with a binary and a continuous bottleneck, and a critic of each; a batch's rows depend on each other.

    Parameters
    ----------
    n_features, hidden, n_bits, continuous : int
        Widths: of input, hidden layers, and the two bottlenecks.
    power : float
        Exponent of the graph's weights.
    rectified : bool
        Whether the last layer ends in a ReLU.
    """

    def __init__(
        self, n_features: int, hidden: int, n_bits: int, continuous: int, *, power: float, rectified: bool
    ) -> None:
        super().__init__()
        self.power = power
        last = nn.ReLU() if rectified else nn.Identity()
        self.encoder = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
        self.continuous = nn.Sequential(nn.Linear(hidden, continuous), nn.Sigmoid(), nn.Linear(continuous, continuous))
        self.decoder = nn.Sequential(nn.Linear(continuous, hidden), nn.ReLU(), nn.Linear(hidden, n_features), last)
        self.critics = nn.ModuleList([nn.Linear(n_bits, 1), nn.Linear(continuous, 1)])
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return bits in {0, 1}, the continuous values averaged along their graph, and rebuilt features."""
        hidden = self.encoder[:2](features)
        bits = binarize(self.encoder[2](hidden).sigmoid(), threshold=0.5, low=0.0)
        values = (hamming_graph(bits, self.power) @ self.continuous(hidden)).sigmoid()
        return bits, values, self.decoder(values)

    def tell_apart(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the sum of the critics' mean cross entropies; their outputs are the log-odds of being real."""
        entropies = [
            softplus(-critic(true)).mean() + softplus(critic(made)).mean()
            for critic, true, made in zip(self.critics, real, fake, strict=True)
        ]
        return torch.stack(entropies).sum()


def hamming_graph(bits: Tensor, power: float) -> Tensor:
    """Return D^-½ A D^-½ for A_ij = (1 − hamming(b_i, b_j)/K)^power, (n, n); bits are in {0, 1}, (n, K)."""
    lacks = bits @ (1 - bits).T
    # The absolute value changes only the gradient, which is 0 between equal codes, as in the authors' code.
    distance = (lacks + lacks.T).abs() / bits.shape[1]
    adjacency = (1 - distance).clamp(min=0) ** power
    roots = adjacency.sum(dim=1).rsqrt()
    return roots[:, None] * adjacency * roots
