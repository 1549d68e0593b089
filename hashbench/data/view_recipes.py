"""How images are augmented into views."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewRecipe:
    """How a data set's images are augmented into views; zeros switch a step off.

    The steps run in the order of the fields. Attributes give ranges: ``crop_scale`` is the area share of a
    random resized crop (aspect ratio within ``crop_ratio``), ``flip`` a probability, ``rotation`` degrees
    either way, ``shift`` pixels of the original image either way, ``zoom`` a scale range; ``brightness``,
    ``contrast``, ``saturation`` and ``hue`` are torchvision's ColorJitter strengths, applied in random order
    with probability ``jitter``; ``gray`` is a probability; a 3 × 3 Gaussian blur with sigma in
    ``blur_sigma`` pixels is applied with probability ``blur``.
    """

    name: str
    crop_scale: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gray: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)


PHOTO_VIEWS = ViewRecipe(
    "cibhash-photo/1",
    crop_scale=(0.5, 1.0),
    flip=0.5,
    jitter=0.7,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    gray=0.2,
    blur=0.5,
)
"""The augmentations of CIBHash's code, for photographs."""
