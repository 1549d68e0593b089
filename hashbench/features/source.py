"""What methods are fed: the contract of all sources of features, and the source of those that come with the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.items import holds_exactly
from hashbench.data.look import Look
from hashbench.data.similarity import Similarity
from hashbench.errors import InputError, Unsupported
from hashbench.features.backbones.pixels import Pixels
from hashbench.features.hardware.devices import choose_device
from hashbench.features.tunable import Tunable
from hashbench.features.unit import BLOCK_ROWS, UnitVectors

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone


PIPELINE_VERSION = 1
"""Raised whenever the same key would give other features, so that no cache outlives its code."""


def feature_key(backbone: Backbone | Pixels | None, look: Look | None = None, **said: Any) -> dict[str, Any]:
    """Return everything that decides what features are.

    Parameters
    ----------
    backbone : Backbone or Pixels or None
        None stands for features that come with the data.
    look : Look, optional
        What of their look made a difference to the images.
    **said
        What else is so: it stands in the key where it is true.
    """
    key = {**(backbone.key if backbone else {"backbone": None}), "pipeline": PIPELINE_VERSION}
    looks = {} if look is None else look.key
    return key | looks | {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Features:
    """Features with what they are and what they cost.

    Attributes
    ----------
    data : ndarray
        Of shape (n, d), float32, or a narrower type where they come with the data so; or a view pool, float16 of
        shape (n, n_views, d). Memory-mapped.
    key : dict
        The feature key.
    seconds : float
        What computing them took; 0 where they came with the data.
    images_per_s : float or None
    """

    data: np.ndarray
    key: dict[str, Any]
    seconds: float
    images_per_s: float | None


class FeatureSource:
    """Where a data set's features come from; `hashbench.features.opening.open_source` knows which it is.

    Parameters
    ----------
    dataset : Dataset
    accelerator : str
        As ``--device`` takes it: where a method that trains on a device is to run.
    devices : int
        How many of that kind are used at once.
    """

    def __init__(self, dataset: Dataset, accelerator: str = "auto", devices: int = 1) -> None:
        self.dataset, self.accelerator, self.devices = dataset, accelerator, devices

    @cached_property
    def device(self) -> str:
        """The device, such as ``cpu``, ``cuda`` or ``cuda:1``; looking for one imports torch."""
        return choose_device(self.accelerator)

    @property
    def key(self) -> dict[str, Any]:
        """The feature key: everything that decides what the features are."""
        raise NotImplementedError

    def features(self) -> Features:
        """Return the features of all items of the data set."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """How many numbers the features of an item are."""
        raise NotImplementedError

    def cached_features(self) -> str:
        """Return in words how much of the features is there already."""
        return "they come with the data"

    def cached_views(self, n_views: int, views_seed: int) -> str:
        """Return in words how much of a view pool is there already.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        self._refuse_views()

    def recipe_key(self, views_seed: int | None) -> dict[str, Any]:
        """Return what decides a view, whatever the number of views is.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        self._refuse_views()

    def view_key(self, n_views: int, views_seed: int) -> dict[str, Any]:
        """Return the feature key of a view pool.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        self._refuse_views()

    def views(self, n_views: int, views_seed: int) -> Features:
        """Return a pool of augmented views of the training images.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe; or the pool is larger than the disk.
        """
        self._refuse_views()

    def tunable(self) -> Tunable:
        """Return the backbone for a method that trains it, with the training images.

        Raises
        ------
        Unsupported
            The features do not come from a network, or there are no augmented images to train it on.
        """
        raise Unsupported(f"{self.dataset.name}: there is no backbone to train on augmented images")

    def tuned(self, parameters: np.ndarray, cache_dir: Path) -> FeatureSource:
        """Return the source of the features that the backbone makes with other parameters.

        Parameters
        ----------
        parameters : ndarray, float32
            `Backbone.parameters`.
        cache_dir : Path
            A folder of their own: nothing else will ever ask for these features.

        Raises
        ------
        Unsupported
            The features do not come from a network.
        """
        raise Unsupported(f"{self.dataset.name}: there is no backbone that other parameters would fit")

    def release(self) -> None:
        """Give back the memory of what makes features; they stay."""

    def _refuse_views(self) -> NoReturn:
        raise InputError(f"{self.dataset.name} has no images to make views of")


class GivenFeatures(FeatureSource):
    """Vectors that come with the data: as they are, or of length 1 where they are compared by the angle."""

    @property
    def key(self) -> dict[str, Any]:
        """The feature key: that there is no backbone, whether the vectors were centred, and their similarity."""
        similarity = self.dataset.protocol.similarity
        return feature_key(None, centred=self.dataset.centred, similarity=_unless_euclidean(similarity))

    def features(self) -> Features:
        """Return the vectors.

        Raises
        ------
        InputError
            A vector holds NaN or infinite values, or is all zeros where angles are compared.
        """
        return self._features

    @property
    def width(self) -> int:
        """How many numbers a vector is."""
        return np.asarray(self.dataset.features).shape[1]

    @cached_property
    def _features(self) -> Features:
        data, name = np.asarray(self.dataset.features), self.dataset.name
        data = data if holds_exactly(data.dtype) else data.astype(np.float32)
        row = first_not_finite(data)
        if row is not None:
            raise InputError(f"{name}: the features of item {row} hold NaN or infinite values; mend or remove it")
        if self.dataset.protocol.similarity == "cosine":
            _refuse_zero_rows(data, name)
            data = cast(np.ndarray, UnitVectors(data))  # rows are all that is read
        return Features(data, self.key, 0.0, None)


def _unless_euclidean(similarity: Similarity | None) -> str:
    return "" if similarity in (None, "euclidean") else str(similarity)


def _refuse_zero_rows(data: np.ndarray, name: str) -> None:
    for start in range(0, len(data), BLOCK_ROWS):
        empty = ~data[start : start + BLOCK_ROWS].any(axis=1)
        if empty.any():
            row = start + int(np.argmax(empty))
            raise InputError(f"{name}: row {row} is all zeros: it has no angle to others; leave it out")


def first_not_finite(features: np.ndarray) -> int | None:
    """Return the first row that holds NaN or infinite values; None where all are finite."""
    if features.dtype.kind != "f":
        return None
    for start in range(0, len(features), 4096):
        bad = ~np.isfinite(features[start : start + 4096]).all(axis=1)
        if bad.any():
            return start + int(np.argmax(bad))
    return None
