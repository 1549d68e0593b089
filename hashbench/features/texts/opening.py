"""Opens the source of the features of texts; options that could have no effect are refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hashbench.data.dataset import Dataset
from hashbench.data.readers.texts.texts import Texts
from hashbench.errors import InputError
from hashbench.features.hardware.devices import choose_device
from hashbench.features.options import BackboneOptions
from hashbench.features.texts.sentences import open_encoder
from hashbench.features.texts.settings import TFIDF, TfidfSettings, read_backbone
from hashbench.features.texts.source import TextBackbone, TextFeatures
from hashbench.features.texts.tfidf import Tfidf

OF_IMAGES = ("image_size", "precision", "normalization", "transform", "compile")
OF_ENCODERS = ("weights", "batch_size")


def open_texts(
    dataset: Dataset, options: BackboneOptions, cache_dir: Path, key: dict[str, Any] | None = None
) -> TextFeatures:
    """Return where the features of texts come from.

    Parameters
    ----------
    dataset : Dataset
        Its images are `Texts`.
    options : BackboneOptions
    cache_dir : Path
    key : dict, optional
        The feature key, if it is known: then the backbone is not opened before something has to be computed.

    Raises
    ------
    InputError
        The backbone is unknown or cannot be had, or an option has no effect on texts.
    """
    name, settings = read_backbone(options.backbone or dataset.backbone)
    plain = BackboneOptions()
    for option in (*OF_IMAGES, *(OF_ENCODERS if name == TFIDF else ())):
        if getattr(options, option) != getattr(plain, option):
            raise InputError(f"--{option.replace('_', '-')}: the backbone {name} has no use for it; leave it out")
    opened = partial(_open, name, settings, dataset, options, cache_dir)
    backbone: Any = opened if key else opened()
    return TextFeatures(dataset, backbone, cache_dir, options.device, 1, key)


def _open(
    name: str, settings: TfidfSettings, dataset: Dataset, options: BackboneOptions, cache_dir: Path
) -> TextBackbone:
    if name == TFIDF:
        assert isinstance(dataset.images, Texts)
        return Tfidf(settings, dataset.images, dataset.split.train)
    return open_encoder(name, options.weights, cache_dir, choose_device(options.device), options.batch_size)
