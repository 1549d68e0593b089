"""Methods that align two views of an image while the coding rate spreads codes: CroVCA, also with labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hashbench.learning.view_pairs import ViewPairMethod

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from hashbench.learning.training.batches import Batch
    from hashbench.learning.training.trainer import Trainer


class CrossViewMethod(ViewPairMethod):
    """Base class of a method that trains a perceptron on two views by an alignment and the coding rate.

    A subclass writes `alignment`. The perceptron has one hidden layer of ReLU and ends in batch normalisation of each
    view; its outputs are the log-odds of the bits.

    Parameters
    ----------
    hidden : int or None
        Width of the hidden layer; None is the number of features.
    rate_weight : float
        Weight of the coding rate.
    eps : float
        The coding rate's ε, the allowed squared error.
    min_lr : float
        Final learning rate; it falls along half a cosine by epochs.
    lr, weight_decay : float
        AdamW's learning rate at the start, and weight decay.
    """

    default_steps = 975
    full_batches = True

    hidden: int | None = None
    rate_weight: float = 0.1
    eps: float = 0.05
    min_lr: float = 1e-6
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.01

    def alignment(self, one: Tensor, other: Tensor, batch: Batch) -> Tensor:
        """Return the cross entropy of two views' log-odds, each (n, n_bits), with the bits that they are to have."""
        raise NotImplementedError(f"{type(self).__name__} must define alignment")

    def network(self, n_features: int) -> nn.Module:
        """Return the perceptron."""
        from hashbench.learning.losses.coding_rate import ViewCoder

        return ViewCoder(n_features, self.hidden or n_features, self.n_bits)

    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the perceptron for one view."""
        return network.coder

    def loss(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the alignment minus the weighted coding rate."""
        from hashbench.learning.losses.coding_rate import coding_rate

        one, other = outputs.chunk(2)
        alignment = self.alignment(one, other, batch)
        rate = (coding_rate(one, self.eps) + coding_rate(other, self.eps)) / 2
        return {"loss": alignment - self.rate_weight * rate, "alignment": alignment, "coding_rate": rate}

    def optimizers(self, network: nn.Module) -> Optimizer:
        """Return AdamW."""
        from torch.optim import AdamW

        return AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)

    def start_epoch(self, trainer: Trainer, epoch: int) -> None:
        """Decrease the learning rate to ``min_lr`` along half a cosine."""
        low, cosine = self.min_lr / self.lr, math.cos(math.pi * (epoch - 1) / trainer.epochs)
        trainer.scale_rates(low + (1 - low) * (1 + cosine) / 2)

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("hidden", self.hidden is None or self.hidden >= 1, "at least 1"),
            ("rate_weight", self.rate_weight >= 0, "at least 0"),
            ("eps", self.eps > 0, "above 0"),
            ("min_lr", 0 <= self.min_lr <= self.lr, "0 to lr"),
        ]
