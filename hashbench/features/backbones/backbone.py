"""Frozen backbones: a timm network by name with checked weights, or the pixels themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from hashbench.features.backbones.dropout import dropout_of
from hashbench.features.backbones.network import ImageDropout, create, load_weights, set_parameters, timm_resized
from hashbench.features.backbones.pixels import PIXELS
from hashbench.features.hardware.memory import in_parts
from hashbench.features.hardware.precision import float32_products
from hashbench.features.hardware.upload import all_to_device, to_device
from hashbench.features.views import augment
from hashbench.features.views.augment import ViewParameters

BATCH = {"cpu": 32, "cuda": 256}
"""Images at once. On a CPU larger batches are slower: their activations outgrow the caches.

They decide last bits, so that a key names another size on a CPU. On a GPU it does not: there last bits also depend on
the device, the libraries' choice of algorithms, and what fits into the memory, and no key says so.
"""


@dataclass
class Backbone:
    """A frozen feature extractor.

    Attributes
    ----------
    key : dict
        Everything that decides what the features are: name, weights' SHA-256, size, interpolation,
        normalisation, precision. JSON values.
    fabric : Fabric
        Device and precision.
    weights : Path or None
        File that the weights are read from.
    tuned : ndarray or None
        Parameters in place of the file's, as one vector.
    batch : int or None
        How many images go through at once, where the user says so.
    """

    key: dict[str, Any]
    fabric: Fabric
    weights: Path | None = None
    tuned: np.ndarray | None = None
    batch: int | None = None
    _network: torch.nn.Module | None = None
    _normalisation: list[Tensor] = field(default_factory=list)

    @property
    def size(self) -> int | None:
        """Side in pixels of the network's input; None for pixels as they are."""
        return self.key["image_size"]

    def network(self) -> torch.nn.Module:
        """Build the network and load its weights, once.

        Raises
        ------
        InputError
            The weights, or the parameters in their place, do not fit the network.
        """
        if self._network is None:
            assert self.weights is not None
            model = create(self.key)
            load_weights(model, self.weights)
            if self.dropout:
                model.pre_logits.drop, model.fc7_drop = ImageDropout(layer=6), ImageDropout(layer=7)
            if self.tuned is not None:
                set_parameters(model, self.tuned)
            model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
            self._network = model.to(self.fabric.device)
            if self.key.get("compiled"):
                self._network.forward_features = torch.compile(self._network.forward_features)
        return self._network

    def release(self) -> None:
        """Give the network's memory back, on a GPU to other processes too; `network` builds it anew."""
        self._network = None
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def deterministic(self) -> bool:
        """Whether this process computes with deterministic algorithms only."""
        return torch.are_deterministic_algorithms_enabled()

    @property
    def dropout(self) -> float:
        """Dropout after fc6 and fc7 that CIBHash's code leaves active while it trains on VGG features."""
        return dropout_of(self.key)

    def extract(self, images: Tensor, mask_seeds: np.ndarray | None = None) -> Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        images : Tensor of shape (n, c, size, size), float in 0..1
        mask_seeds : ndarray of shape (n,), uint64, optional
            Draw dropout masks from these seeds (`hashbench.features.backbones.dropout.mask_seeds`); no dropout by
            default.

        Returns
        -------
        Tensor of shape (n, d), float32, on the CPU
        """
        if self.key["backbone"] == PIXELS:
            return images.flatten(1).cpu()
        network = self.network()
        with torch.inference_mode(), float32_products(self.fabric.device, self.key["precision"]):
            return self.forward(network, images, mask_seeds).cpu()

    def features(self, images: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """Return the features of images, made in parts where a GPU's memory does not hold them at once.

        Parameters
        ----------
        images : ndarray of shape (n, h, w, c), uint8, or list of ndarray of shape (h, w, c)

        Returns
        -------
        ndarray of shape (n, d), float32

        Raises
        ------
        DoesNotFit
            A GPU's memory does not hold what one image needs.
        """

        def some(part: slice) -> np.ndarray:
            return self.extract(self.load(images[part])).numpy()

        return in_parts(f"features of {self.title}", len(images), some)

    @property
    def title(self) -> str:
        """Name and size of the input, for people."""
        return self.key["backbone"] + ("" if self.size is None else f" at {self.size} pixels")

    @property
    def batch_size(self) -> int:
        """How many images go through at once, memory permitting; a feature's last bits may depend on it."""
        return self.batch or BATCH.get(self.fabric.device.type, BATCH["cuda"])

    def forward(self, network: torch.nn.Module, images: Tensor, mask_seeds: np.ndarray | None = None) -> Tensor:
        """Return the features that a network of this kind makes of a batch, differentiable, on its device.

        Parameters
        ----------
        network : Module
            `network`'s, or one with other parameters.
        images : Tensor of shape (n, c, size, size), float in 0..1
        mask_seeds : ndarray of shape (n,), uint64, optional
            See `extract`.

        Returns
        -------
        Tensor of shape (n, d), float32
        """
        mean, std = self._normaliser(images.device)
        images = ((images - mean) / std).to(memory_format=torch.channels_last)
        if self.dropout:
            network.pre_logits.drop.seeds = network.fc7_drop.seeds = mask_seeds
        with self.fabric.autocast():
            # Pooling in float32: it costs nothing and keeps bits that bfloat16 would round away.
            maps = network.forward_features(images).float()
            features = network.forward_head(maps, pre_logits=True).flatten(1).float()
        return network.fc7_drop(features) if self.dropout else features

    def _normaliser(self, device: torch.device) -> list[Tensor]:
        """Return mean and standard deviation on a device, where they stay."""
        if not self._normalisation or self._normalisation[0].device != device:
            self._normalisation = [
                torch.tensor(self.key[name], device=device)[:, None, None] for name in ("mean", "std")
            ]
        return self._normalisation

    def parameters(self, network: torch.nn.Module) -> np.ndarray:
        """Return a network's parameters as one vector, float32."""
        flat = [parameter.detach().reshape(-1).float().cpu() for parameter in network.parameters()]
        return torch.cat(flat).numpy()

    def with_parameters(self, vector: np.ndarray) -> Backbone:
        """Return this backbone with other parameters, and a key that says so.

        Parameters
        ----------
        vector : ndarray of shape (n_parameters,), float32
            What `parameters` returned.

        Notes
        -----
        Whether they fit the network is seen when `network` builds it.
        """
        key = {**self.key, "tuned": hashlib.sha256(vector.tobytes()).hexdigest()}
        return replace(self, key=key, tuned=vector, _network=None, _normalisation=[])

    def view(self, uploaded: Tensor | list[Tensor], parameters: ViewParameters, size: int) -> Tensor:
        """Return one augmented view of each of some uploaded images, (n, c, size, size), floats in 0..1."""
        return augment.apply(self.originals(uploaded), parameters, size)

    def upload(self, images: np.ndarray | list[np.ndarray]) -> Tensor | list[Tensor]:
        """Bring uint8 images to the device as they are, in one copy.

        Parameters
        ----------
        images : ndarray of shape (n, h, w, c), uint8, or list of ndarray of shape (h, w, c)
        """
        if isinstance(images, np.ndarray):
            return to_device(images, self.fabric.device)
        return all_to_device(images, self.fabric.device)

    def originals(self, uploaded: Tensor | list[Tensor]) -> Tensor | Iterator[Tensor]:
        """Return uploaded images as floats in 0..1, channels first, in their own sizes; those of a list one by one."""
        if isinstance(uploaded, Tensor):
            return _floats(uploaded)
        return (_floats(image[None])[0] for image in uploaded)

    def prepare(self, images: np.ndarray) -> Tensor:
        """Bring uint8 images (n, h, w, c) to the device as floats in 0..1, channels first, original size."""
        return _floats(to_device(images, self.fabric.device))

    def load(self, images: np.ndarray | list[np.ndarray]) -> Tensor:
        """Bring images to the device in the network's size; those of a list may differ in theirs."""
        if "crop_pct" in self.key:
            return to_device(timm_resized(images, self.key), self.fabric.device).float().div_(255)
        if isinstance(images, np.ndarray):
            return self.resize(self.prepare(images))
        uploaded = all_to_device(images, self.fabric.device)
        return torch.cat([self.resize(_floats(image[None])) for image in uploaded])

    def resize(self, images: Tensor) -> Tensor:
        """Resize to the network's input as Pillow's bilinear filter does."""
        if self.size is None or images.shape[-2:] == (self.size, self.size):
            return images
        return F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)


def _floats(images: Tensor) -> Tensor:
    """Return uint8 images (n, h, w, c) as floats in 0..1, channels first."""
    return images.permute(0, 3, 1, 2).float().div_(255)
