"""Frozen backbones: a timm network by name with checked weights, or the pixels themselves."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from hashbench.errors import InputError
from hashbench.features.weights import BUNDLED, find_weights, read_state
from hashbench.files.hashing import sha256

# Fabric announces its precision on every start; the feature key says it already.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

PIXELS = "pixels"
PAPER_VGG = "vgg16.tv_in1k"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels: the normalisation of CIBHash's code."""
PRECISIONS = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
"""Fabric's names, which feature keys hold."""
ALIASES = {"vgg16": PAPER_VGG, "efficientnet_lite0": BUNDLED}


def dropout_of(key: dict[str, Any]) -> float:
    """Return the dropout rate of a backbone's fully connected layers; 0 where it has none."""
    return 0.5 if str(key["backbone"]).startswith("vgg") else 0.0


def choose_device(accelerator: str) -> str:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` stands for.

    Raises
    ------
    InputError
        CUDA is asked for and not there.
    """
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is visible; use --device cpu or auto")
    return accelerator


def choose_precision(precision: str, device: str) -> str:
    """Return Fabric's name of the precision; ``auto`` is bfloat16 where the hardware has it.

    Raises
    ------
    InputError
        The device does not compute in the precision that is asked for.
    """
    if precision == "fp16" and device == "cpu":  # Fabric would take bfloat16 instead, against the feature key
        raise InputError("precision fp16 needs a CUDA device; a CPU computes in bf16 or fp32")
    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("precision bf16 is not available on this CUDA device; it computes in fp16 or fp32")
    if precision != "auto":
        return PRECISIONS[precision]
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    return "bf16-mixed" if fast else "32-true"


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
    """

    key: dict[str, Any]
    fabric: Fabric
    weights: Path | None = None
    tuned: np.ndarray | None = None
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
            model = _create(self.key["backbone"], self.key["image_size"], self.dropout)
            _load_weights(model, self.weights)
            if hasattr(model, "reset_classifier"):
                model.reset_classifier(0)
            if self.tuned is not None:
                _set_parameters(model, self.tuned)
            model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
            self._network = model.to(self.fabric.device)
            if self.key.get("compiled"):
                self._network.forward_features = torch.compile(self._network.forward_features)
        return self._network

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
    compiled: bool = False,
) -> Backbone:
    """Resolve a backbone: find its weights and settle its key, without building the network.

    Parameters
    ----------
    name : str
        ``pixels`` or a timm model name; ``vgg16`` is the paper's (torchvision's ImageNet weights).
    weights : Path, optional
        File with a state dict (safetensors, or a torch file of plain tensors).
    image_size : int, optional
        Side in pixels; the model's own by default.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "bf16", "fp16", "fp32"}
    normalization : {"imagenet", "model"}
        ImageNet's mean and standard deviation, as CIBHash's code has it, or what the network was trained with.
    compiled : bool
        Compile the network with torch.compile: features come faster once it is done, and differ by rounding, so the
        key says so. Compiling takes a minute or more, on a CPU a C++ compiler too.

    Raises
    ------
    InputError
        Unknown name, or weights that are neither there nor downloadable.
    """
    chosen = choose_device(device)
    if name == PIXELS:
        if weights is not None:
            raise InputError("--weights: the pixels backbone has no weights; name a --backbone")
        if image_size is not None:
            raise InputError("--image-size: the pixels backbone takes images as they are; name a --backbone")
        if compiled:
            raise InputError("--compile: the pixels backbone has nothing to compile; name a --backbone")
        key: dict[str, Any] = {"backbone": PIXELS, "weights": None, "image_size": None, "precision": "32-true"}
        return Backbone(key, Fabric(accelerator=chosen, devices=1))
    import timm

    name = ALIASES.get(name, name)
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.partition('.')[0][:6]}*")[:3]
        hint = f"did you mean one of {', '.join(near)}?" if near else "see timm.list_models()"
        raise InputError(f"unknown backbone {name!r}; {hint}")
    config = timm.get_pretrained_cfg(name)
    file = find_weights(name, weights)
    fabric_precision = choose_precision(precision, chosen)
    mean, std = IMAGENET if normalization == "imagenet" else (config.mean, config.std)
    key = {
        "backbone": name,
        "weights": sha256(file),
        "image_size": image_size or config.input_size[1],
        "interpolation": "bilinear",
        "mean": list(mean),
        "std": list(std),
        "precision": fabric_precision,
    }
    if compiled:
        key["compiled"] = True
    return Backbone(key, Fabric(accelerator=chosen, devices=1, precision=fabric_precision), file)


def _create(name: str, image_size: int, dropout: float) -> torch.nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=False, drop_rate=dropout, img_size=image_size)
    except TypeError:  # convolutional networks take any size and know no img_size
        return timm.create_model(name, pretrained=False, drop_rate=dropout)


def _set_parameters(network: torch.nn.Module, vector: np.ndarray) -> None:
    parameters = list(network.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    if vector.shape != (sum(sizes),):
        raise InputError(f"the backbone has {sum(sizes):,} parameters, not {vector.size:,}")
    parts = torch.from_numpy(vector).split(sizes)
    with torch.no_grad():
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.copy_(part.reshape(parameter.shape))


def _load_weights(model: torch.nn.Module, file: Path) -> None:
    """Load a state dict by names or, where names differ but the tensors are the same, by their order.

    By order, a linear layer's matrix also fills the convolution that timm puts in its place (VGG).
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
