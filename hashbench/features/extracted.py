"""Features and views that a backbone makes of images: computed once, in steps, and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages
from hashbench.data.view_recipes import ViewRecipe
from hashbench.errors import InputError
from hashbench.features.backbones.dropout import dropout_key
from hashbench.features.backbones.pixels import PIXELS, Pixels
from hashbench.features.extraction import Workers, extract_features, extract_views, views_at_once
from hashbench.features.source import Features, FeatureSource, feature_key, first_not_finite
from hashbench.features.tunable import Tunable
from hashbench.files.cache import GrowingArray
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import refuse_full_disk
from hashbench.progress import progress

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone


FEATURE_STEP = 2048
"""Images between two writes."""


class ExtractedFeatures(FeatureSource):
    """Features and view pools of images through one backbone, kept in the cache.

    Parameters
    ----------
    dataset : Dataset
    backbone : Backbone or Pixels, or callable
        A callable opens it, and is asked once something has to be computed.
    cache_dir : Path
    accelerator : {"auto", "cpu", "cuda"}
    devices : int
        How many devices share the work; several, each in a process of its own.
    key : dict, optional
        The feature key where it is known, so that cached features are read without opening the backbone.
    """

    items = "images"
    """What a message calls the items."""

    def __init__(
        self,
        dataset: Dataset,
        backbone: Backbone | Pixels | Callable[[], Backbone | Pixels],
        cache_dir: Path,
        accelerator: str = "auto",
        devices: int = 1,
        key: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(dataset, accelerator, devices)
        self._backbone, self._key, self.cache_dir = backbone, key, cache_dir

    @cached_property
    def backbone(self) -> Backbone | Pixels:
        """What makes the features."""
        return self._backbone() if callable(self._backbone) else self._backbone

    @property
    def key(self) -> dict[str, Any]:
        """The feature key: everything that decides what the features are."""
        return self._key or feature_key(self.backbone, self.dataset.look)

    def features(self) -> Features:
        """Return the features of all items of the data set.

        Raises
        ------
        InputError
            The data set has no images, or images that the backbone cannot take; the disk is full; or computed features
            hold NaN or infinite values.
        """
        return self._features

    @cached_property
    def width(self) -> int:
        """How many numbers the features of an image are; the backbone makes those of one to know."""
        width = self.backbone.features(self._images()[np.arange(1)]).shape[1]
        self.release()
        return width

    @cached_property
    def _features(self) -> Features:
        n = len(self._images())

        def jobs(first: int, devices: int) -> list[tuple[Any, ...]]:
            starts = range(first, n, FEATURE_STEP)[:devices]
            return [(np.arange(start, min(start + FEATURE_STEP, n)),) for start in starts]

        entry = self._features_entry()
        data, seconds, _ = _Growth(entry, self.key, n, 1, f"features of {n:,} {self.items}", np.float32).run(
            lambda: self.backbone, self._images(), self.devices, (extract_features, jobs, np.concatenate)
        )
        row = first_not_finite(data)
        if row is not None:
            raise InputError(
                f"{self.dataset.name}: the features of item {row} hold NaN or infinite values; delete "
                f"{entry.directory}, where they lie, and run again; if they come again, try --precision fp32"
            )
        return Features(data, self.key, seconds, n / seconds if seconds else None)

    def cached_features(self) -> str:
        """Return in words how much of the features is there already."""
        return _share(self._features_entry().n_rows, len(self._images()))

    def cached_views(self, n_views: int, views_seed: int) -> str:
        """Return in words how much of a view pool is there already."""
        return _share(self._views_entry(views_seed).n_rows, n_views)

    def _features_entry(self) -> GrowingArray:
        key = {**self.key, "data": self.dataset.data_fingerprint, "rows": len(self._images())}
        return self._entry("features", key)

    def _views_entry(self, views_seed: int) -> GrowingArray:
        key = self.view_key(0, views_seed)
        del key["n_views"]
        train = canonical_hash(self.dataset.split.train.tolist())
        return self._entry("views", {**key, "data": self.dataset.data_fingerprint, "train": train})

    def recipe_key(self, views_seed: int | None) -> dict[str, Any]:
        """Return what decides a view, whatever the number of views is.

        Raises
        ------
        InputError
            The data set has no view recipe.
        """
        recipe = json.loads(json.dumps(asdict(self._recipe())))
        return {**self.key, "recipe": recipe, "views_seed": views_seed, **dropout_key(self.key)}

    def view_key(self, n_views: int, views_seed: int) -> dict[str, Any]:
        """Return the feature key of a view pool.

        Raises
        ------
        InputError
            The data set has no view recipe.
        """
        return {**self.recipe_key(views_seed), "n_views": n_views}

    def views(self, n_views: int, views_seed: int) -> Features:
        """Return a pool of augmented views of the training images.

        View v of a pool depends only on the seed and v: a larger pool begins with the smaller one, and
        extends it on disk. Where the backbone has dropout (VGG), each image of a view has masks of its own, which
        neither the batch nor the device changes.

        Parameters
        ----------
        n_views : int
        views_seed : int

        Raises
        ------
        InputError
            The data set has no view recipe, or the pool is larger than the disk.
        """
        recipe, key, rows = self._recipe(), self.view_key(n_views, views_seed), self.dataset.split.train
        del key["n_views"]
        n = len(rows)

        def jobs(first: int, devices: int) -> list[tuple[Any, ...]]:
            at_once = views_at_once(n, self.device)
            starts = range(first, n_views, at_once)[:devices]
            return [(rows, recipe, views_seed, range(start, min(start + at_once, n_views))) for start in starts]

        what = f"{n_views:,} views of {n:,} {self.items}"
        data, seconds, n_done = _Growth(self._views_entry(views_seed), key, n_views, n, what, np.float16).run(
            self._on_device, self._images(), self.devices, (self._views_work(), jobs, np.concatenate)
        )
        per_view = seconds / n_done
        rate = n / per_view if per_view else None
        return Features(data.swapaxes(0, 1), {**key, "n_views": n_views}, per_view * n_views, rate)

    def tunable(self) -> Tunable:
        """Return the backbone for a method that trains it, with the training images.

        Raises
        ------
        Unsupported
            The backbone is the pixels themselves, or the data set has no view recipe.
        """
        backbone, recipe = self.backbone, self.dataset.views
        if isinstance(backbone, Pixels) or recipe is None:
            return super().tunable()
        fingerprint = self.dataset.data_fingerprint
        return Tunable(self._images(), self.dataset.split.train, recipe, backbone.key, backbone.weights, fingerprint)

    def tuned(self, parameters: np.ndarray, cache_dir: Path) -> FeatureSource:
        """Return the source of the features that the backbone makes with other parameters; see `FeatureSource`."""
        if isinstance(self.backbone, Pixels):
            return super().tuned(parameters, cache_dir)
        backbone = self.backbone.with_parameters(parameters)
        return ExtractedFeatures(self.dataset, backbone, cache_dir, self.accelerator, self.devices)

    def release(self) -> None:
        """Give back the memory of the backbone's network; features and views stay."""
        opened = vars(self).get("backbone")
        if opened is not None and not isinstance(opened, Pixels):
            opened.release()

    def _on_device(self) -> Backbone:
        """Return the backbone as torch runs it: views are made by torch, of pixels too."""
        if not isinstance(self.backbone, Pixels):
            return self.backbone
        from hashbench.features.backbones.opening import open_backbone

        return open_backbone(PIXELS, device=self.accelerator)

    def _views_work(self) -> Callable[..., np.ndarray]:
        return extract_views

    def _recipe(self) -> ViewRecipe:
        return self.dataset.views or self._refuse_views()

    def _images(self) -> np.ndarray | EncodedImages:
        if self.dataset.images is None:
            raise InputError(f"{self.dataset.name} has no images")
        if isinstance(self.dataset.images, EncodedImages) and self.key.get("image_size") is None:
            raise InputError(f"{self.dataset.name}: its images differ in size, which --backbone pixels cannot take")
        return self.dataset.images

    def _entry(self, kind: str, key: dict[str, Any]) -> GrowingArray:
        return GrowingArray(self.cache_dir / kind / canonical_hash(key)[:32])


def _share(done: int, n: int) -> str:
    return "cached" if done >= n else f"{done:,} of {n:,} cached" if done else "to be computed"


Work = tuple[
    Callable[..., np.ndarray],
    Callable[[int, int], list[tuple[Any, ...]]],
    Callable[[Sequence[np.ndarray]], np.ndarray],
]
"""What computes, its next jobs (from a row on, for a number of devices), and what joins their results into rows."""


@dataclass(frozen=True)
class _Growth:
    """An array in the cache that is to have a number of rows, each of the features of some images."""

    entry: GrowingArray
    key: dict[str, Any]
    n_rows: int
    n_images: int
    what: str
    dtype: type

    def run(
        self,
        backbone: Callable[[], Backbone | Pixels],
        images: np.ndarray | EncodedImages,
        devices: int,
        work: Work,
    ) -> tuple[np.ndarray, float, int]:
        """Compute the rows that are missing; return all, the seconds that they took, and how many are there now."""
        function, jobs, join = work
        done = self.entry.n_rows

        def step(first: int) -> np.ndarray:
            return join(list(workers.run(function, jobs(first, workers.devices), bar.advance)))

        with ExitStack() as working:
            if done < self.n_rows:
                workers = working.enter_context(Workers(backbone(), images, devices))
                row_bytes = self.n_images * workers.warm_up() * np.dtype(self.dtype).itemsize
                refuse_full_disk(self.entry.directory, (self.n_rows - done) * row_bytes, self.what)
                # After the warm-up, whose time would count for the rate.
                title = f"{self.what} ({self.key['backbone']})"
                bar = working.enter_context(progress(title, self.n_rows * self.n_images, done * self.n_images))
            data, manifest = self.entry.ensure(self.n_rows, step, {"key": self.key})
        return data, manifest["seconds"], manifest["rows"]
