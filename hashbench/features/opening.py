"""Opens the source of a data set's features as the options say; options that could have no effect are refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.data.dataset import Dataset
from hashbench.data.readers.texts.texts import Texts
from hashbench.errors import InputError
from hashbench.features.backbones.pixels import PIXELS, Pixels, open_pixels
from hashbench.features.extracted import ExtractedFeatures
from hashbench.features.hardware.devices import choose_device, refuse_missing_devices
from hashbench.features.options import BackboneOptions
from hashbench.features.source import FeatureSource, GivenFeatures

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone


def open_source(
    dataset: Dataset, options: BackboneOptions, cache_dir: Path, key: dict[str, Any] | None = None
) -> FeatureSource:
    """Return where a data set's features come from.

    Parameters
    ----------
    dataset : Dataset
    options : BackboneOptions
        The device counts for every source: methods may train on it.
    cache_dir : Path
    key : dict, optional
        The feature key, if it is known: then the backbone is not opened before something has to be computed, and
        importing torch, which takes seconds, is spared.

    Raises
    ------
    InputError
        The backbone is unknown or its weights cannot be had, a device is not available, or an option has no effect on
        this data set.
    """
    refuse_missing_devices(options.device, options.devices)
    if options.device != "auto" and key is None:  # where a key is known, a plan has been here
        choose_device(options.device)
    if dataset.features is not None:
        _refuse_backbone(dataset, options)
        return GivenFeatures(dataset, options.device, options.devices)
    if isinstance(dataset.images, Texts):
        from hashbench.features.texts.opening import open_texts

        return open_texts(dataset, options, cache_dir, key)
    name = options.backbone or dataset.backbone
    size = options.image_size
    if size is None and name == dataset.backbone and options.transform == "square":
        size = dataset.image_size
    opened = partial(_open_backbone, name, size, options)
    backbone = opened if key else opened()
    return ExtractedFeatures(dataset, backbone, cache_dir, options.device, options.devices, key)


def _open_backbone(name: str, image_size: int | None, options: BackboneOptions) -> Backbone | Pixels:
    chosen: dict[str, Any] = {
        "weights": options.weights,
        "image_size": image_size,
        "precision": options.precision,
        "compiled": options.compile,
        "batch_size": options.batch_size,
    }
    if name == PIXELS:
        if options.normalization != BackboneOptions.normalization:
            raise InputError("--normalization: the pixels backbone takes values as they are; name a --backbone")
        if options.transform != BackboneOptions.transform:
            raise InputError("--transform: the pixels backbone takes images as they are; name a --backbone")
        return open_pixels(**chosen)
    from hashbench.features.backbones.opening import open_backbone

    chosen |= {"normalization": options.normalization, "transform": options.transform}
    return open_backbone(name, **chosen, device=options.device)


def _refuse_backbone(dataset: Dataset, options: BackboneOptions) -> None:
    """Raise if an option is given that only a backbone could obey."""
    plain = BackboneOptions()
    for name in (
        "backbone",
        "weights",
        "image_size",
        "precision",
        "normalization",
        "transform",
        "compile",
        "batch_size",
    ):
        if getattr(options, name) != getattr(plain, name):
            raise InputError(
                f"--{name.replace('_', '-')}: {dataset.name} comes with features, no backbone is used; leave it out"
            )
