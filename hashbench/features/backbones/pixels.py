"""The backbone that is none: pixels as features, in numpy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashbench.errors import InputError

PIXELS = "pixels"
KEY = {"backbone": PIXELS, "weights": None, "image_size": None, "precision": "32-true"}
"""What decides these features."""


@dataclass(frozen=True)
class Pixels:
    """Pixels as features: scaled to 0..1, channels first, flattened.

    Attributes
    ----------
    key : dict
        What decides the features.
    size : None
        Images are taken as they are.
    batch_size : int
        Images that are converted at once; it decides no value.
    """

    key: dict[str, Any] = field(default_factory=KEY.copy)
    size: None = None
    batch_size: int = 1024

    def features(self, images: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """Return the pixels of images of one size.

        Parameters
        ----------
        images : ndarray of shape (n, h, w, c), uint8, or list of ndarray of shape (h, w, c)

        Returns
        -------
        ndarray of shape (n, c * h * w), float32
        """
        scaled = np.stack([*images]).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        scaled /= np.float32(255)
        return scaled.reshape(len(scaled), -1)


def open_pixels(
    *, weights: object, image_size: object, precision: str, compiled: bool, batch_size: object = None
) -> Pixels:
    """Return the pixels backbone, unless an option is given that it has no use for.

    Raises
    ------
    InputError
        An option is given that the pixels backbone has no use for.
    """
    refused = {
        "--weights": (weights is not None, "has no weights"),
        "--image-size": (image_size is not None, "takes images as they are"),
        "--compile": (compiled, "has nothing to compile"),
        "--batch-size": (batch_size is not None, "needs no batches"),
        f"--precision {precision}": (precision != "fp32", "computes in fp32"),
    }
    for option, (is_given, why) in refused.items():
        if is_given:
            raise InputError(f"{option}: the pixels backbone {why}; name a --backbone")
    return Pixels()
