"""Training images as two views of each: from a pool of features, or new ones through a backbone that is trained."""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.dropout import mask_seeds
from hashbench.features.hardware.upload import to_device
from hashbench.features.tunable import Tunable
from hashbench.features.views.augment import seed_of
from hashbench.files.arrays import SharedArray
from hashbench.learning.training.batches import Scaling, TrainingData


def _fresh(n_items: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two views of the epoch."""
    return np.full(n_items, 2 * epoch - 2), np.full(n_items, 2 * epoch - 1)


class ViewPool(TrainingData):
    """Precomputed features of views.

    Parameters
    ----------
    views : ndarray of shape (n, pool size, d), float16
    fresh : bool
        Whether each epoch has two separate views; otherwise two different views of each image are drawn.
    scaling : (shift, scale), optional
    labels : ndarray, optional
        Of the images.
    """

    n_views = 2

    def __init__(
        self,
        views: np.ndarray,
        fresh: bool = False,
        scaling: Scaling | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        self.views, self.fresh, self.scaling, self.labels = views, fresh, scaling, labels
        self.n_items, self.pool_size, self.width = views.shape

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send other processes the name of the file instead of its content, if the pool is memory-mapped."""
        return _open_pool, (SharedArray(self.views), self.fresh, self.scaling, self.labels)

    @property
    def identity(self) -> list[Any]:
        """Shape of the pool, which the cell's identity names."""
        return list(self.views.shape)

    def draw(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Return images, their one view, their other view."""
        order = rng.permutation(self.n_items)
        if self.fresh:
            return np.stack([order, *_fresh(self.n_items, epoch)])
        one = rng.integers(self.pool_size, size=self.n_items)
        other = (one + rng.integers(1, self.pool_size, size=self.n_items)) % self.pool_size
        return np.stack([order, one, other])

    def inputs(self, index: np.ndarray) -> tuple[Tensor]:
        """Return the features of the first views of n images, then of their second views, (2n, d)."""
        image, one, other = index
        features = self.views[np.concatenate([image, image]), np.concatenate([one, other])]
        return (self.scaled(to_device(features, self.fabric.device).float()),)


def _open_pool(views: SharedArray, *others: Any) -> ViewPool:
    return ViewPool(views.array, *others)


class TunedBackbone(TrainingData):
    """Images, two new views of each in every epoch, and the backbone that processes them.

    Batch normalisation keeps its published statistics, since a batch of views is a poor estimate of the data's.

    Parameters
    ----------
    tunable : Tunable
    width : int
        Number of features.
    views_seed : int
    lr : float
        The backbone's learning rate.
    labels : ndarray, optional
        Of the images.
    """

    n_views = 2
    trains_backbone = True

    def __init__(
        self, tunable: Tunable, width: int, views_seed: int, lr: float, labels: np.ndarray | None = None
    ) -> None:
        self.tunable, self.width, self.views_seed, self.lr, self.labels = tunable, width, views_seed, lr, labels
        self.n_items = len(tunable.rows)
        self._drawn: dict[int, Any] = {}
        self._coming: dict[bytes, Future[Any]] = {}

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send other processes the constructor's arguments."""
        return type(self), (self.tunable, self.width, self.views_seed, self.lr, self.labels)

    @property
    def identity(self) -> list[Any]:
        """Size, backbone, recipe and rows."""
        return [self.n_items, self.width, self.tunable.identity]

    def draw(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Return images, their one view, their other view."""
        return np.stack([rng.permutation(self.n_items), *_fresh(self.n_items, epoch)])

    def open(self, fabric: Fabric, network: nn.Module) -> nn.Module:
        """Return backbone and network."""
        self.fabric = fabric
        self.model = _BackboneAndHead(self.tunable.open(fabric), network.to(fabric.device))
        return self.model

    def add_parameters(self, optimizer: Any) -> None:
        """Also train the backbone, with a separate learning rate."""
        optimizer.add_param_group({"params": list(self.model.network.parameters()), "lr": self.lr})

    def expect(self, index: np.ndarray) -> None:
        """Start to read and decode the images of the next batch."""
        self._coming[index[0].tobytes()] = reading_thread().submit(self.tunable.load, index[0])

    def inputs(self, index: np.ndarray) -> tuple[Any, ...]:
        """Return the first views of n images, then their second views, and the seeds of their dropout masks."""
        image, *views = index
        coming = self._coming.pop(image.tobytes(), None)
        images = self.tunable.load(image) if coming is None else coming.result()
        numbers = [int(view[0]) for view in views]
        made = self.tunable.views(self.model.backbone, [self._parameters(view) for view in numbers], image, images)
        seeds = [mask_seeds(seed_of(self.views_seed, view), image) for view in numbers]
        return (_Images(torch.cat(made), np.concatenate(seeds)),)

    def learned(self) -> dict[str, Any]:
        """Return the backbone's parameters."""
        return {"backbone_weights_": self.model.backbone.parameters(self.model.network)}

    def _parameters(self, view: int) -> Any:
        if view not in self._drawn:
            if len(self._drawn) == 2:
                self._drawn.clear()
            self._drawn[view] = self.tunable.draw(self.views_seed, view)
        return self._drawn[view]


class TunedRows(TunedBackbone):
    """Images, one fresh view of each in every epoch, and the backbone that sees them."""

    n_views = 1

    def draw(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Return images and their view."""
        return np.stack([rng.permutation(self.n_items), np.full(self.n_items, epoch - 1)])


class _Images:
    """Images as inputs of the network: Fabric would round a plain tensor to bfloat16 before it is normalised."""

    def __init__(self, values: Tensor, mask_seeds: np.ndarray) -> None:
        self.values, self.mask_seeds = values, mask_seeds


class _BackboneAndHead(nn.Module):
    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.network = backbone.network().requires_grad_(True)
        self.head = head

    def forward(self, images: _Images) -> Any:
        return self.head(self.backbone.forward(self.network, images.values, images.mask_seeds))


@functools.cache
def reading_thread() -> ThreadPoolExecutor:
    """Return the thread of this process that reads the next batch; decoding uses other threads."""
    return ThreadPoolExecutor(1, thread_name_prefix="read")
