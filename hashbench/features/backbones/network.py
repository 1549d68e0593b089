"""Builds backbones' networks and fills them with weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hashbench.errors import InputError
from hashbench.features.backbones.dropout import RATE, masks
from hashbench.features.backbones.weights import read_state
from hashbench.features.hardware.upload import to_device


def create(key: dict[str, Any]) -> torch.nn.Module:
    """Return the network that a feature key names, without its published weights."""
    import timm

    name, arguments = key.get("architecture", key["backbone"]), key.get("model_args", {})
    try:
        return timm.create_model(name, pretrained=False, **{**arguments, "img_size": key["image_size"]})
    except TypeError:  # convolutional networks take any size and know no img_size
        return timm.create_model(name, pretrained=False, **arguments)


class ImageDropout(torch.nn.Module):
    """Drops features of each image by masks of its own; nothing where it has no seeds.

    Parameters
    ----------
    layer : int
        Its number, by which its masks differ from other layers'.

    Attributes
    ----------
    seeds : ndarray of shape (n,), uint64, or None
        Of the images that come next.
    """

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.seeds: np.ndarray | None = None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (n, ...), some of them 0 and the others scaled up by as much."""
        if self.seeds is None:
            return features
        kept = masks(self.seeds, self.layer, features[0].numel())
        return features * to_device(kept, features.device).view(features.shape) * (1 / (1 - RATE))


def timm_resized(images: np.ndarray | list[np.ndarray], key: dict[str, Any]) -> torch.Tensor:
    """Return images as timm brings them to a network, before they are normalised.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, c), uint8, or list of ndarray of shape (h, w, c)
    key : dict
        A feature key with ``image_size``, ``interpolation``, ``crop_pct`` and ``crop_mode``.

    Returns
    -------
    Tensor of shape (n, c, size, size), uint8
    """
    from PIL import Image
    from timm.data import create_transform

    size = key["image_size"]
    how = {name: key[name] for name in ("interpolation", "crop_pct", "crop_mode")}
    transform = create_transform((3, size, size), is_training=False, normalize=False, **how)
    images = [image[..., 0] if image.shape[2] == 1 else image for image in images]
    return torch.stack([transform(Image.fromarray(image)) for image in images])


def set_parameters(network: torch.nn.Module, vector: np.ndarray) -> None:
    """Give a network other parameters.

    Parameters
    ----------
    network : Module
    vector : ndarray of shape (n_parameters,), float32

    Raises
    ------
    InputError
        The network has more or fewer parameters than are given.
    """
    parameters = list(network.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    if vector.shape != (sum(sizes),):
        raise InputError(f"the backbone has {sum(sizes):,} parameters, not {vector.size:,}")
    parts = torch.from_numpy(vector).split(sizes)
    with torch.no_grad():
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.copy_(part.reshape(parameter.shape))


def load_weights(model: torch.nn.Module, file: Path) -> None:
    """Take a network's head off and load a state dict into the rest, by names or else by the order of its tensors.

    Features come from before the head, so the file may hold none, or one for other classes. By order, a linear layer's
    matrix also fills the convolution that timm puts in its place (VGG).

    Raises
    ------
    InputError
        The file does not hold a state dict, or holds that of another network.
    """
    state, whole = read_state(file), model.state_dict()
    if hasattr(model, "reset_classifier"):
        model.reset_classifier(0)
    body = model.state_dict()
    missing = [name for name, tensor in body.items() if name not in state or state[name].shape != tensor.shape]
    if missing:
        ordered = _by_order(state, whole, body) or _by_order(state, body, body)
        if ordered is None:
            raise InputError(
                f"{file} does not fit the backbone: {len(missing)} of {len(body)} tensors are missing or have "
                f"another shape, first {missing[0]!r}"
            )
        state = ordered
    model.load_state_dict({name: state[name] for name in body})


Tensors = Mapping[str, torch.Tensor]


def _by_order(state: Tensors, layout: Tensors, body: Tensors) -> dict[str, torch.Tensor] | None:
    """Return a file's tensors under the names of a layout, without the head; None where one does not fit its place."""
    if len(state) != len(layout):
        return None
    found = {name: tensor for name, tensor in zip(layout, state.values(), strict=True) if name in body}
    for name, tensor in found.items():
        if tensor.shape[:1] != body[name].shape[:1] or tensor.numel() != body[name].numel():
            return None
    return {name: tensor.reshape(body[name].shape) for name, tensor in found.items()}
