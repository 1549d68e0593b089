"""What a method gets that trains the backbone too: training images, their augmentation, and the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.dataset import ViewRecipe
from hashbench.images import EncodedImages, sizes_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

    from hashbench.augment import ViewParameters
    from hashbench.backbones import Backbone


@dataclass(frozen=True)
class Tunable:
    """A backbone with the images that it may be trained on; plain values, so that processes can be given it.

    A method that has trained it keeps the network's parameters as ``backbone_weights_``
    (`hashbench.backbones.Backbone.parameters`); its codes are then made of that network's features.

    Attributes
    ----------
    images : ndarray of shape (n, h, w, c), uint8, or EncodedImages
    rows : ndarray of int64
        The training set among the images.
    recipe : ViewRecipe
    key : dict
        The backbone's.
    weights : Path or None
        File of its published weights.
    """

    images: np.ndarray | EncodedImages
    rows: np.ndarray
    recipe: ViewRecipe
    key: dict[str, Any]
    weights: Path | None

    def open(self, fabric: Fabric) -> Backbone:
        """Return the backbone on a device and in a precision."""
        from hashbench.backbones import Backbone

        return Backbone(self.key, fabric, self.weights)

    def draw(self, views_seed: int, view: int) -> ViewParameters:
        """Return the random parameters of one view of every training image, as a view pool draws them."""
        from hashbench import augment

        return augment.draw(self.recipe, sizes_of(self.images, self.rows), (views_seed, view))

    def view(self, backbone: Backbone, parameters: ViewParameters, places: np.ndarray) -> Tensor:
        """Return a view of some training images, (n, c, size, size), floats in 0..1, on the backbone's device.

        Parameters
        ----------
        backbone : Backbone
        parameters : ViewParameters
            What `draw` returned.
        places : ndarray of int64
            Places in the training set.
        """
        import torch

        from hashbench import augment

        assert backbone.size is not None
        chosen = parameters[torch.from_numpy(places)].to(backbone.fabric.device)
        return augment.apply(backbone.originals(self.images[self.rows[places]]), chosen, backbone.size)
