"""Frozen backbones: a timm network by name with checked weights, or the pixels themselves."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from hashbench.features.backbones.devices import choose_device, choose_precision, open_fabric
from hashbench.features.backbones.memory import in_parts
from hashbench.features.backbones.network import create, load_weights, set_parameters, timm_resized
from hashbench.features.backbones.pixels import KEY as PIXELS_KEY
from hashbench.features.backbones.pixels import PIXELS, open_pixels
from hashbench.features.backbones.weights import BUNDLED, find_model, find_weights
from hashbench.files.hashing import sha256

# Fabric announces its precision on every start; the feature key says it already.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

PAPER_VGG = "vgg16.tv_in1k"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels: the normalisation of CIBHash's code."""
BATCH = {"cpu": 32, "cuda": 256}
"""Images at once. On a CPU larger batches are slower: their activations outgrow the caches.

They decide last bits, so that a key names another size on a CPU. On a GPU it does not: there last bits also depend on
the device, the libraries' choice of algorithms, and what fits into the memory, and no key says so.
"""
ALIASES = {"vgg16": PAPER_VGG, "efficientnet_lite0": BUNDLED}


def dropout_of(key: dict[str, Any]) -> float:
    """Return the dropout rate of a backbone's fully connected layers; 0 where it has none."""
    return 0.5 if str(key.get("architecture", key["backbone"])).startswith("vgg") else 0.0


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
            model = create(self.key, self.dropout)
            load_weights(model, self.weights)
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
    def dropout(self) -> float:
        """Dropout after fc6 and fc7 that CIBHash's code leaves active while it trains on VGG features."""
        return dropout_of(self.key)

    def extract(self, images: Tensor, dropout_seed: int | None = None) -> Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        images : Tensor of shape (n, c, size, size), float in 0..1
        dropout_seed : int, optional
            Draw dropout masks from this seed; no dropout by default.

        Returns
        -------
        Tensor of shape (n, d), float32, on the CPU
        """
        if self.key["backbone"] == PIXELS:
            return images.flatten(1).cpu()
        network = self.network()
        with torch.inference_mode():
            return self.forward(network, images, dropout_seed).cpu()

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

    def forward(self, network: torch.nn.Module, images: Tensor, dropout_seed: int | None = None) -> Tensor:
        """Return the features that a network of this kind makes of a batch, differentiable, on its device.

        Parameters
        ----------
        network : Module
            `network`'s, or one with other parameters.
        images : Tensor of shape (n, c, size, size), float in 0..1
        dropout_seed : int, optional

        Returns
        -------
        Tensor of shape (n, d), float32
        """
        mean = torch.tensor(self.key["mean"], device=images.device)[:, None, None]
        std = torch.tensor(self.key["std"], device=images.device)[:, None, None]
        images = ((images - mean) / std).to(memory_format=torch.channels_last)
        dropping = bool(self.dropout) and dropout_seed is not None
        for name, module in network.named_modules() if self.dropout else ():
            if isinstance(module, torch.nn.Dropout):  # fc6's; fc7's comes below, for timm's classifier has its own
                module.train(dropping and not name.startswith("head"))
        devices = [images.device] if images.device.type == "cuda" else []
        with torch.random.fork_rng(devices, enabled=dropping), self.fabric.autocast():
            if dropping:
                torch.manual_seed(dropout_seed)
            # Pooling in float32: it costs nothing and keeps bits that bfloat16 would round away.
            maps = network.forward_features(images).float()
            features = network.forward_head(maps, pre_logits=True).flatten(1).float()
            return F.dropout(features, self.dropout, dropping)

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
        return replace(self, key=key, tuned=vector, _network=None)

    def prepare(self, images: np.ndarray) -> Tensor:
        """Bring uint8 images (n, h, w, c) to the device as floats in 0..1, channels first, original size."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(self.fabric.device)
        return batch.permute(0, 3, 1, 2).float().div_(255)

    def load(self, images: np.ndarray | list[np.ndarray]) -> Tensor:
        """Bring images to the device in the network's size; those of a list may differ in theirs."""
        if "crop_pct" in self.key:
            return timm_resized(images, self.key).to(self.fabric.device).float().div_(255)
        if isinstance(images, np.ndarray):
            return self.resize(self.prepare(images))
        return torch.cat([self.resize(self.prepare(image[None])) for image in images])

    def originals(self, images: np.ndarray | list[np.ndarray]) -> Tensor | Iterator[Tensor]:
        """Bring images to the device in their own sizes, those of a list one by one."""
        if isinstance(images, np.ndarray):
            return self.prepare(images)
        return (self.prepare(image[None])[0] for image in images)

    def resize(self, images: Tensor) -> Tensor:
        """Resize to the network's input as Pillow's bilinear filter does."""
        if self.size is None or images.shape[-2:] == (self.size, self.size):
            return images
        return F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)


def open_backbone(
    name: str,
    *,
    weights: Path | None = None,
    image_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    normalization: str = "imagenet",
    transform: str = "square",
    compiled: bool = False,
    batch_size: int | None = None,
) -> Backbone:
    """Resolve a backbone: find its weights and settle its key, without building the network.

    Parameters
    ----------
    name : str
        ``pixels``, a timm model's name, or ``hf-hub:<owner>/<model>``, perhaps with ``@<revision>``; ``vgg16`` is the
        paper's (torchvision's ImageNet weights).
    weights : Path, optional
        File with a state dict (safetensors, or a torch file of plain tensors).
    image_size : int, optional
        Side in pixels; the model's own by default.
    device : str
        ``auto``, ``cpu``, ``cuda``, or one of several such as ``cuda:1``.
    precision : {"auto", "bf16", "fp16", "fp32"}
    normalization : {"imagenet", "model"}
        ImageNet's mean and standard deviation, as CIBHash's code has it, or what the network was trained with.
    transform : {"square", "model"}
        Resized to a square by Pillow's bilinear filter, or timm's own way for this network, its normalisation with it.
    compiled : bool
        Compile the network with torch.compile: features come faster once it is done, and differ by rounding, so the
        key says so. Compiling takes a minute or more, on a CPU a C++ compiler too.
    batch_size : int, optional
        Images at once; by default 32 on a CPU, where the key names another number, and 256 on a GPU, where fewer are
        taken if they do not fit.

    Raises
    ------
    InputError
        The name is unknown, its weights are neither cached nor downloadable, or an option does not apply.
    """
    chosen = choose_device(device)
    if name == PIXELS:
        open_pixels(
            weights=weights,
            image_size=image_size,
            precision=precision,
            compiled=compiled,
            batch_size=batch_size,
        )
        return Backbone(dict(PIXELS_KEY), open_fabric(chosen))
    model = find_model(ALIASES.get(name, name))
    file = find_weights(model, weights)
    fabric_precision = choose_precision(precision, chosen.partition(":")[0])
    as_published = "model" in (normalization, transform)
    mean, std = (model.mean, model.std) if as_published else IMAGENET
    key = {
        "backbone": model.name,
        **model.built_by,
        "weights": sha256(file),
        "image_size": image_size or model.input_size,
        "interpolation": "bilinear",
        "mean": list(mean),
        "std": list(std),
        "precision": fabric_precision,
    }
    if transform == "model":
        key |= asdict(model.resized)
    if compiled:
        key["compiled"] = True
    if chosen == "cpu" and batch_size not in (None, BATCH["cpu"]):
        key["batch_size"] = batch_size
    return Backbone(key, open_fabric(chosen, precision=fabric_precision), file, batch=batch_size)
