"""What a method gets that trains the backbone too: training images, their augmentation, and the network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.data.images import EncodedImages, sizes_of
from hashbench.data.view_recipes import ViewRecipe
from hashbench.features.backbones.dropout import dropout_key
from hashbench.files.arrays import portable, received
from hashbench.files.hashing import canonical_hash

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

    from hashbench.features.backbones.backbone import Backbone
    from hashbench.features.views.augment import ViewParameters


@dataclass(frozen=True)
class Tunable:
    """A backbone with the images that it may be trained on; plain values, so that processes can be given it.

    A method that has trained it keeps the network's parameters as ``backbone_weights_``
    (`hashbench.features.backbones.backbone.Backbone.parameters`); its codes are then made of that network's features.

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
    fingerprint : str
        SHA-256 of all images, where it is known.
    """

    images: np.ndarray | EncodedImages
    rows: np.ndarray
    recipe: ViewRecipe
    key: dict[str, Any]
    weights: Path | None
    fingerprint: str = ""

    def open(self, fabric: Fabric) -> Backbone:
        """Return the backbone on a device and in a precision."""
        from hashbench.features.backbones.backbone import Backbone

        return Backbone(self.key, fabric, self.weights)

    def draw(self, views_seed: int, view: int) -> ViewParameters:
        """Return the random parameters of one view of every training image, as a view pool draws them."""
        from hashbench.features.views import augment

        return augment.draw(self.recipe, sizes_of(self.images, self.rows), (views_seed, view))

    def load(self, positions: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Return some training images as they are, read and decoded.

        Parameters
        ----------
        positions : ndarray of int64
            Positions in the training set.
        """
        return self.images[self.rows[positions]]

    def views(
        self,
        backbone: Backbone,
        drawn: Sequence[ViewParameters],
        positions: np.ndarray,
        images: np.ndarray | list[np.ndarray],
    ) -> list[Tensor]:
        """Return views of some training images, each (n, c, size, size), floats in 0..1, on the backbone's device.

        Parameters
        ----------
        backbone : Backbone
        drawn : sequence of ViewParameters
            What `draw` returned, once a view.
        positions : ndarray of int64
            Positions in the training set.
        images : ndarray of shape (n, h, w, c), uint8, or list of ndarray
            What `load` returned for them.
        """
        import torch

        from hashbench.features.views import augment

        assert backbone.size is not None
        rows, uploaded = torch.from_numpy(positions), backbone.upload(images)
        return [augment.apply(backbone.originals(uploaded), view[rows], backbone.size) for view in drawn]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the views that are trained on, beside their seed; JSON values."""
        recipe = json.loads(json.dumps(asdict(self.recipe)))
        rows = canonical_hash(self.rows.tolist())
        identity = {"backbone": self.key, "recipe": recipe, "rows": rows, "images": self.fingerprint}
        return identity | dropout_key(self.key)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send another process the names of files that images lie in, instead of their content."""
        return _open, (portable(self.images), self.rows, self.recipe, self.key, self.weights, self.fingerprint)


def _open(images: Any, *others: Any) -> Tunable:
    return Tunable(received(images), *others)
