"""A pool of views for a network with codebooks, which are learned besides its encoder."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric
from torch import nn
from torch.nn.functional import normalize

from hashbench.learning.training.view_batches import ViewPool


class CodebookPool(ViewPool):
    """Precomputed features of views; the network has codebooks, (n_parts, n_codewords, part_dims).

    Parameters
    ----------
    views, fresh, scaling
        As for `ViewPool`.
    """

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send other processes the name of the file instead of its content, if the pool is memory-mapped."""
        _, (views, fresh, scaling, _) = super().__reduce__()
        return _open_pool, (views, fresh, scaling)

    def open(self, fabric: Fabric, network: nn.Module) -> nn.Module:
        """Return the network."""
        self._network = network
        return super().open(fabric, network)

    def learned(self) -> dict[str, Any]:
        """Return the codebooks, of codewords with length 1."""
        codebooks = self._network.codebooks.detach().float()
        return {"codebooks_": normalize(codebooks, dim=-1).cpu().numpy()}


def _open_pool(views: Any, fresh: bool, scaling: Any) -> CodebookPool:
    return CodebookPool(views.array, fresh, scaling)
