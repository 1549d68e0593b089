"""The batch that a training step gets, and training rows as batches of features."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashbench.features.hardware.upload import to_device
from hashbench.features.views.augment import seed_of
from hashbench.files.arrays import portable, received

SAMPLE = 256
"""Number of rows by which a checkpoint recognises the training set."""

Scaling = tuple[np.ndarray, np.ndarray | float]


class TrainingData:
    """Base class of the data that batches are drawn from.

    Attributes
    ----------
    n_items, width : int
        Number of training rows and of features.
    n_views : int
        How many inputs of a batch belong to one row.
    scaling : (shift, scale) or None
        Batches hold (features − shift) / scale.
    fabric : Fabric
        Device and precision; set when training starts.
    """

    n_items: int
    width: int
    n_views: int = 1
    trains_backbone: bool = False
    scaling: Scaling | None = None
    labels: np.ndarray | None = None
    fabric: Fabric

    @property
    def identity(self) -> list[Any]:
        """Description of the data, which a checkpoint must match; JSON values."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Return the order of an epoch, (k, n_items): the rows, then whatever else determines their inputs."""
        raise NotImplementedError

    def inputs(self, index: np.ndarray) -> tuple[Any, ...]:
        """Return the network's inputs for some columns of `draw`."""
        raise NotImplementedError

    def expect(self, index: np.ndarray) -> None:
        """Start to read the next inputs in the background, if reading is slow."""

    def open(self, fabric: Fabric, network: nn.Module) -> nn.Module:
        """Move to a device; return the module that is trained there: the network, or one that contains it."""
        self.fabric = fabric
        return network

    def add_parameters(self, optimizer: Any) -> None:
        """Add parameters outside the network to an optimiser."""

    def learned(self) -> dict[str, Any]:
        """Return learned attributes that are not of the network."""
        return {}

    def scaled(self, features: Tensor) -> Tensor:
        """Return features as training sees them."""
        if self._scaling is None:
            return features
        shift, scale = self._scaling
        return (features - shift) / scale

    @cached_property
    def _scaling(self) -> tuple[Tensor, Tensor] | None:
        if self.scaling is None:
            return None
        shift, scale = (torch.as_tensor(part, dtype=torch.float32, device=self.fabric.device) for part in self.scaling)
        return shift, scale


class FeatureRows(TrainingData):
    """Rows of features, in a new order each epoch.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32
    labels : ndarray or None
    scaling : (shift, scale), optional
    """

    def __init__(self, X: np.ndarray, labels: np.ndarray | None = None, scaling: Scaling | None = None) -> None:
        self.X, self.labels, self.scaling = X, labels, scaling
        self.n_items, self.width = X.shape

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send other processes the name of the file instead of its content, if rows are memory-mapped."""
        return _rows_in, (portable(self.X), self.labels, self.scaling)

    @property
    def identity(self) -> list[Any]:
        """Shape and checksum of a sample of the rows."""
        rows = np.linspace(0, self.n_items - 1, min(SAMPLE, self.n_items)).astype(np.int64)
        return [*self.X.shape, hashlib.sha256(self.X[rows].tobytes()).hexdigest()]

    def draw(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Return a permutation of the rows, (1, n)."""
        return rng.permutation(self.n_items)[None]

    def inputs(self, index: np.ndarray) -> tuple[Tensor]:
        """Return the features of rows, (n, n_features)."""
        return (self.scaled(to_device(self.X[index[0]], self.fabric.device)),)


def _rows_in(X: Any, labels: np.ndarray | None, scaling: Scaling | None) -> FeatureRows:
    return FeatureRows(received(X), labels, scaling)


class Batch:
    """The rows of one step, the same in every process.

    Attributes
    ----------
    index : ndarray of shape (k, n), int64
        Columns of `TrainingData.draw`.
    epoch : int
        From 1.
    constants : mapping
        Set by the method's ``begin``.
    """

    def __init__(
        self,
        data: TrainingData,
        index: np.ndarray,
        epoch: int,
        generator: torch.Generator,
        constants: Mapping[str, Any],
        identity: tuple[int, ...] = (),
    ) -> None:
        self.data, self.index, self.epoch, self.constants = data, index, epoch, constants
        self._generator, self._identity = generator, identity

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.index.shape[1]

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Return uniform random numbers in [0, 1), drawn on the CPU: they are the same on every device.

        Parameters
        ----------
        shape : sequence of int

        Returns
        -------
        Tensor
            On the training's device, float32.
        """
        return to_device(torch.rand(tuple(shape), generator=self._generator), self.data.fabric.device)

    @cached_property
    def noise(self) -> torch.Generator:
        """Generator on the training's device, for distributions other than uniform; numbers depend on the device."""
        device = self.data.fabric.device
        if device.type == "cpu":
            return self._generator
        return torch.Generator(device).manual_seed(seed_of(*self._identity))

    @cached_property
    def rows(self) -> Tensor:
        """Numbers of the training rows, (n,) int64, on the training's device."""
        return to_device(self.index[0], self.data.fabric.device)

    @cached_property
    def inputs(self) -> tuple[Any, ...]:
        """The network's inputs for the whole batch."""
        return self.data.inputs(self.index)

    @property
    def features(self) -> Tensor:
        """Features after scaling, (n, d), or (2n, d): the first views of the rows, then the second views.

        Raises
        ------
        ValueError
            The backbone is trained too, so features are not known in advance.
        """
        if self.data.trains_backbone:
            raise ValueError("batch.features: the backbone is trained too, so the network must return its features")
        return self.inputs[0]

    @cached_property
    def labels(self) -> Tensor | None:
        """Labels of the rows, for a supervised method."""
        if self.data.labels is None:
            return None
        return to_device(self.data.labels[self.index[0]], self.data.fabric.device)
