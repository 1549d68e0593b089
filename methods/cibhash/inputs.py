"""What CIBHash's head is trained on: features from a pool of views, or a backbone that is trained with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashbench.features.augment import seed_of
from hashbench.features.backbone import Backbone
from hashbench.features.tunable import Tunable
from hashbench.files.arrays import SharedArray


class Pool:
    """Features of views, computed before.

    Parameters
    ----------
    views : ndarray of shape (n, pool size, d), float16
    """

    def __init__(self, views: np.ndarray) -> None:
        self.views = views
        self.n_images, self.n_views, self.width = views.shape

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send another process the file's name instead of its content, where the pool lies in a file."""
        return _open_pool, (SharedArray(self.views),)

    @property
    def identity(self) -> list[Any]:
        """What a checkpoint must have been trained on; JSON values."""
        return list(self.views.shape)

    def model(self, fabric: Fabric, head: nn.Sequential) -> nn.Module:
        """Return what is trained: the head."""
        return head

    def groups(self, head: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Return the optimiser's parameters."""
        return [{"params": list(head.parameters()), "lr": lr}]

    def logits(self, fabric: Fabric, model: Any, image: np.ndarray, one: np.ndarray, other: np.ndarray) -> Tensor:
        """Return the head's outputs for n images' one view, then for their other, (2n, n_bits), float32."""
        features = self.views[np.concatenate([image, image]), np.concatenate([one, other])]
        return model(torch.from_numpy(features).to(fabric.device).float()).float()

    def trained(self, model: Any) -> np.ndarray | None:
        """Return the backbone's parameters if it was trained."""
        return None


def _open_pool(views: SharedArray) -> Pool:
    return Pool(views.array)


class TunedBackbone:
    """Images, two fresh views of each in every epoch, and the backbone that sees them.

    Batch normalisation keeps its published statistics: a batch of views says little about the data's.

    Parameters
    ----------
    tunable : Tunable
    width : int
        Number of features.
    views_seed : int
    lr : float
        The backbone's learning rate.
    """

    def __init__(self, tunable: Tunable, width: int, views_seed: int, lr: float) -> None:
        self.tunable, self.width, self.views_seed, self.lr = tunable, width, views_seed, lr
        self.n_images, self.n_views = len(tunable.rows), 0
        self._drawn: dict[int, Any] = {}

    @property
    def identity(self) -> list[Any]:
        """What a checkpoint must have been trained on; JSON values."""
        return [self.n_images, self.width, self.tunable.identity]

    def model(self, fabric: Fabric, head: nn.Sequential) -> nn.Module:
        """Return what is trained: network and head."""
        return _NetworkAndHead(self.tunable.open(fabric), head.to(fabric.device))

    def groups(self, model: Any, lr: float) -> list[dict[str, Any]]:
        """Return the optimiser's parameters, each part with its learning rate."""
        return [
            {"params": list(model.head.parameters()), "lr": lr},
            {"params": list(model.network.parameters()), "lr": self.lr},
        ]

    def logits(self, fabric: Fabric, model: Any, image: np.ndarray, one: np.ndarray, other: np.ndarray) -> Tensor:
        """Return the head's outputs for n images' one view, then for their other, (2n, n_bits), float32."""
        drawn = self._parameters(int(one[0])), self._parameters(int(other[0]))
        views = self.tunable.views(model.module.backbone, drawn, image)
        dropout_seed = seed_of(self.views_seed, int(one[0]), int(image[0]))
        return model(_Images(torch.cat(views)), dropout_seed).float()

    def trained(self, model: Any) -> np.ndarray | None:
        """Return the backbone's parameters."""
        return model.module.backbone.parameters(model.module.network)

    def _parameters(self, view: int) -> Any:
        if view not in self._drawn:
            if len(self._drawn) == 2:
                self._drawn.clear()
            self._drawn[view] = self.tunable.draw(self.views_seed, view)
        return self._drawn[view]


class _Images:
    """Images on their way into the network: Fabric would round a plain tensor to bfloat16 before it is normalised."""

    def __init__(self, values: Tensor) -> None:
        self.values = values


class _NetworkAndHead(nn.Module):
    def __init__(self, backbone: Backbone, head: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone
        self.network = backbone.network().requires_grad_(True)
        self.head = head

    def forward(self, images: _Images, dropout_seed: int) -> Tensor:
        return self.head(self.backbone.forward(self.network, images.values, dropout_seed))
