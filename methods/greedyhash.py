"""GreedyHash, unsupervised: signs with a straight-through gradient that keep the cosines of pairs."""

from __future__ import annotations

import numpy as np

from hashbench.errors import Unsupported
from hashbench.learning.deep import DeepMethod


class GreedyHash(DeepMethod):
    """Greedy Hash.

    Parameters
    ----------
    n_bits : int
    penalty, momentum, center, batch_size, epochs, lr, weight_decay, precision
    """

    paper = "Su et al., NeurIPS 2018"
    default_steps = 20_000

    penalty: float = 0.1
    momentum: float = 0.9
    center: bool = True
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 5e-4

    def network(self, n_features):
        """Return one linear layer."""
        from torch import nn

        return nn.Linear(n_features, self.n_bits)

    def loss(self, outputs, batch):
        """Return the mean squared difference of pairs' cosines plus the penalty of values far from ±1."""
        from torch.nn.functional import cosine_similarity, mse_loss

        from hashbench.learning.layers import binarize

        codes, features = binarize(outputs).chunk(2), batch.features.chunk(2)
        similarity = mse_loss(cosine_similarity(*codes), cosine_similarity(*features))
        penalty = ((outputs.abs() - 1).abs() ** 3).mean()
        return {"loss": similarity + self.penalty * penalty, "similarity": similarity, "penalty": penalty}

    def rows_used(self, n_rows):
        """Leave an odd batch's last row out: it has no partner."""
        return n_rows - n_rows % 2

    def optimizers(self, network):
        """Return stochastic gradient descent with momentum."""
        from torch.optim import SGD

        return SGD(network.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def scaling(self, X):
        """Take the mean row away where ``center`` says so."""
        return (X.mean(axis=0, dtype=np.float64), 1.0) if self.center else None

    def check(self, X, device, devices):
        """Refuse rows without a cosine, too."""
        super().check(X, device, devices)
        if not np.ptp(X, axis=0).any():
            raise Unsupported(f"all {len(X)} training rows are the same: {self.name} needs at least 2 different ones")

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("penalty", self.penalty >= 0, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
        ]
