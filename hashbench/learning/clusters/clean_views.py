"""The base class of methods that train on two views of each image and also look at the images themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hashbench.learning.view_pairs import ViewPairMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor


class CleanViewsMethod(ViewPairMethod):
    """Base class of a method on two views whose ``start_epoch`` needs the network's outputs for all images.

    `clean_outputs` gives them, without augmentation and without dropout. Batches hold the two views as before. What is
    computed from all rows goes into ``trainer.constants``, which every batch has. Draw random numbers for it from
    ``trainer.rng``: then a training that goes on from a checkpoint finds the same clusters again.

    With ``finetune`` there would be no such features without another pass over all images, so it is refused.
    """

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges."""
        frozen = "0, since it needs features of the images themselves that do not change"
        return [*super().limits(n_items, device, devices), ("finetune", not self.finetune, frozen)]

    def clean_outputs(self, trainer: Any, forward: Callable[[Tensor], Tensor]) -> Tensor:
        """Return outputs for all images in order, computed as in encoding: no gradient, no dropout.

        Parameters
        ----------
        trainer : hashbench.learning.training.trainer.Trainer
        forward : callable
            Maps features of a block of rows to their outputs, by the network or a part of it.

        Returns
        -------
        Tensor of shape (n_items, …), float32
            The same in every process.
        """
        import torch

        trainer.network.eval()
        with torch.no_grad():
            outputs = torch.cat([forward(block).float() for block in trainer.data.clean_blocks()])
        trainer.network.train()
        return trainer.fabric.broadcast(outputs)

    def _pool(self, X: np.ndarray, labels: Any, views: Any) -> Any:
        from hashbench.learning.clusters.clean_pool import CleanViewPool

        pool = super()._pool(X, labels, views)
        return CleanViewPool(X, pool.views, pool.fresh, pool.scaling, pool.labels)
