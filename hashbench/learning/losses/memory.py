"""The network's latest outputs for all training rows, for losses that pair a batch with the whole training set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hashbench.features.hardware.upload import to_device
from hashbench.learning.losses.pairs import share_label


class OutputMemory:
    """The network's latest output for each training row, without a gradient.

    It is kept in buffers of the network, so that a checkpoint holds it. With several processes each has the outputs of
    the whole batch, so all memories are the same.

    Parameters
    ----------
    trainer : hashbench.learning.training.trainer.Trainer
        Its data has labels.
    width : int
        Length of an output.

    Attributes
    ----------
    outputs : Tensor of shape (n_items, width), float32
        0 for rows that were in no batch yet.
    seen : Tensor of shape (n_items,), bool
        Which rows were in a batch.
    labels : Tensor of shape (n_items,), int64, or (n_items, n_labels), bool
    """

    def __init__(self, trainer: Any, width: int) -> None:
        data, device = trainer.data, trainer.fabric.device
        trainer.network.register_buffer("memory", torch.zeros(data.n_items, width, device=device))
        trainer.network.register_buffer("seen", torch.zeros(data.n_items, dtype=torch.bool, device=device))
        self.outputs, self.seen = trainer.network.memory, trainer.network.seen
        self.labels = to_device(data.labels, device)

    def update(self, rows: Tensor, outputs: Tensor) -> None:
        """Replace what is kept of a batch's rows.

        Parameters
        ----------
        rows : Tensor of shape (n,), int64
        outputs : Tensor of shape (n, width)
        """
        self.outputs[rows], self.seen[rows] = outputs.detach(), True

    def similar(self, labels: Tensor) -> Tensor:
        """Return which rows share a label with a batch's items, (n, n_items) bool; those not yet seen share none."""
        return share_label(labels, self.labels) & self.seen
