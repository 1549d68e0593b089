"""What methods are fed: features of all items, and pools of augmented views, computed once and cached."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages
from hashbench.errors import InputError, Unsupported
from hashbench.features.extraction import Workers, extract_features, extract_view
from hashbench.features.options import BackboneOptions
from hashbench.features.tunable import Tunable
from hashbench.files.cache import GrowingArray
from hashbench.files.hashing import canonical_hash
from hashbench.progress import progress

if TYPE_CHECKING:
    from hashbench.features.backbone import Backbone


FEATURE_STEP = 2048
"""Images between two writes."""
PIPELINE_VERSION = 1
"""Raised whenever the same key would give other features, so that no cache outlives its code."""


def feature_key(backbone: Backbone | None) -> dict[str, Any]:
    """Return everything that decides what features are; None stands for features that come with the data."""
    return {**(backbone.key if backbone else {"backbone": None}), "pipeline": PIPELINE_VERSION}


@dataclass(frozen=True)
class Features:
    """Features with what they are and what they cost.

    Attributes
    ----------
    data : ndarray
        float32 of shape (n, d), or a view pool, float16 of shape (n, n_views, d); memory-mapped.
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
    """Features and view pools of one data set through one backbone.

    Parameters
    ----------
    dataset : Dataset
    backbone : Backbone or None
        None for a data set that comes with features.
    cache_dir : Path
    devices : int
        How many of the backbone's kind of device share the work; several, each in a process of its own.
    """

    def __init__(self, dataset: Dataset, backbone: Backbone | None, cache_dir: Path, devices: int = 1) -> None:
        self.dataset, self.backbone, self.cache_dir = dataset, backbone, cache_dir
        self.devices = devices if backbone is not None and backbone.weights is not None else 1
        self._features: Features | None = None

    @property
    def device(self) -> str:
        """What methods train on."""
        return "cpu" if self.backbone is None else str(self.backbone.fabric.device)

    @property
    def key(self) -> dict[str, Any]:
        """The feature key: everything that decides what the features are."""
        return feature_key(self.backbone)

    def features(self) -> Features:
        """Return the features of all items of the data set."""
        if self._features is None:
            self._features = self._compute_features()
        return self._features

    def _compute_features(self) -> Features:
        if self.backbone is None:
            assert self.dataset.features is not None
            data = _finite(np.asarray(self.dataset.features, np.float32), self.dataset.name)
            return Features(data, self.key, 0.0, None)
        images, backbone = self._images(), self.backbone
        n = len(images)
        entry = self._entry("features", {**self.key, "data": self.dataset.data_fingerprint, "rows": n})
        done = (entry.manifest() or {"rows": 0})["rows"]
        with (
            progress(f"features of {n:,} images ({backbone.key['backbone']})", n) as bar,
            Workers(backbone, images, self.devices) as workers,
        ):
            bar.advance(done)

            def step(first: int) -> np.ndarray:
                starts = range(first, n, FEATURE_STEP)[: self.devices]
                jobs = [(np.arange(start, min(start + FEATURE_STEP, n)),) for start in starts]
                return np.concatenate(list(workers.run(extract_features, jobs, bar.advance)))

            if done < n:
                workers.warm_up()
            data, manifest = entry.ensure(n, step, {"key": self.key})
        return Features(_finite(data, self.dataset.name), self.key, manifest["seconds"], n / manifest["seconds"])

    def cached_features(self) -> str:
        """Return in words how much of the features is computed already."""
        if self.backbone is None:
            return "they come with the data"
        n = len(self._images())
        entry = self._entry("features", {**self.key, "data": self.dataset.data_fingerprint, "rows": n})
        return _share((entry.manifest() or {"rows": 0})["rows"], n)

    def cached_views(self, n_views: int, views_seed: int) -> str:
        """Return in words how much of a view pool is computed already."""
        return _share((self._views_entry(views_seed).manifest() or {"rows": 0})["rows"], n_views)

    def _views_entry(self, views_seed: int) -> GrowingArray:
        assert self.backbone is not None
        key = self.view_key(0, views_seed)
        del key["n_views"]
        rows = self.dataset.split.train
        where = {"data": self.dataset.data_fingerprint, "train": canonical_hash(rows.tolist())}
        return self._entry("views", {**key, **where})

    def view_key(self, n_views: int, views_seed: int) -> dict[str, Any]:
        """Return the feature key of a view pool.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        key = {**self.recipe_key(views_seed), "n_views": n_views}
        assert self.backbone is not None
        dropout = self.backbone.dropout
        return {**key, "dropout": {"fc6": dropout, "fc7": dropout}} if dropout else key

    def recipe_key(self, views_seed: int | None) -> dict[str, Any]:
        """Return what decides a view, whatever the number of views is.

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        if self.dataset.views is None or self.backbone is None:
            raise InputError(f"{self.dataset.name} has no images to make views of")
        recipe = json.loads(json.dumps(asdict(self.dataset.views)))
        return {**self.key, "recipe": recipe, "views_seed": views_seed}

    def views(self, n_views: int, views_seed: int) -> Features:
        """Return a pool of augmented views of the training images.

        View v of a pool depends only on the seed and v: a larger pool begins with the smaller one, and
        extends it on disk. Where the backbone has dropout (VGG), each view carries one mask, drawn here.

        Parameters
        ----------
        n_views : int
        views_seed : int

        Raises
        ------
        InputError
            The data set has no images, or no view recipe.
        """
        recipe, backbone = self.dataset.views, self.backbone
        key = self.view_key(n_views, views_seed)
        assert recipe is not None
        assert backbone is not None
        del key["n_views"]
        images, rows = self._images(), self.dataset.split.train
        n = len(rows)
        entry = self._views_entry(views_seed)
        done = min((entry.manifest() or {"rows": 0})["rows"], n_views)
        with (
            progress(f"{n_views} views of {n:,} images ({backbone.key['backbone']})", n_views * n) as bar,
            Workers(backbone, images, self.devices) as workers,
        ):
            bar.advance(done * n)

            def step(first: int) -> np.ndarray:
                views = range(first, n_views)[: self.devices]
                jobs = [(rows, recipe, views_seed, view) for view in views]
                return np.stack(list(workers.run(extract_view, jobs, bar.advance)))

            if done < n_views:
                workers.warm_up()
            data, manifest = entry.ensure(n_views, step, {"key": key})
        per_view = manifest["seconds"] / manifest["rows"]
        return Features(data.swapaxes(0, 1), {**key, "n_views": n_views}, per_view * n_views, n / per_view)

    def tunable(self) -> Tunable:
        """Return the backbone for a method that trains it, with the training images.

        Raises
        ------
        Unsupported
            There is no network to train, or nothing to train it on.
        """
        backbone, recipe = self.backbone, self.dataset.views
        if backbone is None or backbone.weights is None or recipe is None:
            raise Unsupported(f"{self.dataset.name}: there is no backbone to train on augmented images")
        return Tunable(self._images(), self.dataset.split.train, recipe, backbone.key, backbone.weights)

    def tuned(self, parameters: np.ndarray, cache_dir: Path) -> FeatureSource:
        """Return the source of the features that the backbone makes with other parameters.

        Parameters
        ----------
        parameters : ndarray, float32
            `Backbone.parameters`.
        cache_dir : Path
            A place of their own: nothing else will ever ask for these features.
        """
        assert self.backbone is not None
        return FeatureSource(self.dataset, self.backbone.with_parameters(parameters), cache_dir, self.devices)

    def _images(self) -> np.ndarray | EncodedImages:
        if self.dataset.images is None:
            raise InputError(f"{self.dataset.name} has no images")
        if isinstance(self.dataset.images, EncodedImages) and self.backbone is not None and self.backbone.size is None:
            raise InputError(f"{self.dataset.name}: its images differ in size, which --backbone pixels cannot take")
        return self.dataset.images

    def _entry(self, kind: str, key: dict[str, Any]) -> GrowingArray:
        return GrowingArray(self.cache_dir / kind / canonical_hash(key)[:32])


def _share(done: int, n: int) -> str:
    return "cached" if done >= n else f"{done:,} of {n:,} cached" if done else "to be computed"


def _finite(features: np.ndarray, name: str) -> np.ndarray:
    for start in range(0, len(features), 4096):
        bad = ~np.isfinite(features[start : start + 4096]).all(axis=1)
        if bad.any():
            raise InputError(f"{name}: the features of item {start + int(np.argmax(bad))} hold NaN or infinite values")
    return features


def open_source(dataset: Dataset, options: BackboneOptions, cache_dir: Path) -> FeatureSource:
    """Return the features of a data set as a user asks for them."""
    if dataset.features is not None:
        if options.backbone or options.weights:
            raise InputError(f"--backbone: {dataset.name} comes with features, no backbone is used")
        return FeatureSource(dataset, None, cache_dir)
    from hashbench.features.backbone import open_backbone

    name = options.backbone or dataset.backbone
    size = options.image_size
    if size is None and name == dataset.backbone:
        size = dataset.image_size
    backbone = open_backbone(
        name,
        weights=options.weights,
        image_size=size,
        device=options.device,
        precision=options.precision,
        normalization=options.normalization,
        compiled=options.compile,
    )
    return FeatureSource(dataset, backbone, cache_dir, options.devices)
