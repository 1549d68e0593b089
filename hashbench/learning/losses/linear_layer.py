"""One linear layer that is trained on features and labels by RMSprop, as DeepHash-pytorch trains its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashbench.learning.supervised import SupervisedMethod

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class LinearLayerMethod(SupervisedMethod):
    """Base class of a method that trains one linear layer on features and labels by RMSprop.

    Parameters
    ----------
    lr, weight_decay : float
        Learning rate and weight decay of RMSprop.
    """

    lr: float = 1e-4
    weight_decay: float = 1e-5

    def network(self, n_features: int) -> nn.Module:
        """Return one linear layer."""
        from torch import nn

        return nn.Linear(n_features, self.n_bits)

    def optimizers(self, network: nn.Module) -> Optimizer:
        """Return RMSprop."""
        from torch.optim import RMSprop

        return RMSprop(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)
