"""Builds backbones' networks and fills them with weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hashbench.errors import InputError
from hashbench.features.backbones.weights import read_state


def create(key: dict[str, Any], dropout: float) -> torch.nn.Module:
    """Return the network that a feature key names, without its published weights."""
    import timm

    name, arguments = key.get("architecture", key["backbone"]), key.get("model_args", {})
    try:
        return timm.create_model(
            name, pretrained=False, drop_rate=dropout, **{**arguments, "img_size": key["image_size"]}
        )
    except TypeError:  # convolutional networks take any size and know no img_size
        return timm.create_model(name, pretrained=False, drop_rate=dropout, **arguments)


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
        The network has another number of parameters.
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
    """Load a state dict by names or, where names differ but the tensors are the same, by their order.

    By order, a linear layer's matrix also fills the convolution that timm puts in its place (VGG).

    Raises
    ------
    InputError
        The file holds no state dict, or one of another network.
    """
    state, own = read_state(file), model.state_dict()
    missing = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if missing:
        pairs = list(zip(own.values(), state.values(), strict=False))
        if len(own) != len(state) or any(a.shape[:1] != b.shape[:1] or a.numel() != b.numel() for a, b in pairs):
            raise InputError(
                f"{file} does not fit the backbone: {len(missing)} of {len(own)} tensors are missing or have "
                f"another shape, first {missing[0]!r}"
            )
        state = {key: value.reshape(own[key].shape) for key, value in zip(own, state.values(), strict=True)}
    model.load_state_dict({key: state[key] for key in own})
