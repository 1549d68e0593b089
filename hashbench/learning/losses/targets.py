"""A target code for each item of a batch, made of its labels' centres."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hashbench.learning.centres import centres
from hashbench.learning.losses.pairs import marks


class Targets:
    """Target codes of items: the centre of its class, or the majority of its labels' centres in each bit.

    Where as many of an item's labels say 1 as −1, one random code decides for all items (Yuan et al., CVPR 2020).
    Centres and that code are kept in buffers of the network, so that a checkpoint holds them.

    Parameters
    ----------
    trainer : hashbench.learning.training.trainer.Trainer
        Its generator gives the seed; its network is given the buffers.
    n_labels, n_bits : int
    kind : str
        See `hashbench.learning.centres.centres`.

    Attributes
    ----------
    centres : Tensor of shape (n_labels, n_bits), float32
        −1 and 1.

    Raises
    ------
    Unsupported
        There are fewer different codes than labels.
    """

    def __init__(self, trainer: Any, n_labels: int, n_bits: int, kind: Any) -> None:
        drawn = centres(n_labels, n_bits, kind, int(trainer.rng.integers(2**32)))
        ties = 2 * trainer.rng.integers(2, size=n_bits) - 1
        for name, value in {"centres": drawn, "ties": ties}.items():
            tensor = torch.as_tensor(value, dtype=torch.float32, device=trainer.fabric.device)
            trainer.network.register_buffer(name, tensor)
        self.centres, self._ties = trainer.network.centres, trainer.network.ties

    def codes(self, labels: Tensor) -> Tensor:
        """Return the targets of items, (n, n_bits) float32 of −1 and 1.

        Parameters
        ----------
        labels : Tensor of shape (n,), int64, or (n, n_labels), bool
        """
        if labels.ndim == 1:
            return self.centres[labels]
        votes = marks(labels, len(self.centres)) @ self.centres
        return torch.where(votes == 0, self._ties, votes.sign())
