"""Opens backbones: by name and options, or by a key whose every part is known."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from hashbench.features.backbones.backbone import BATCH, Backbone
from hashbench.features.backbones.onnx import RUNTIME, OnnxBackbone, problem_of
from hashbench.features.backbones.pixels import KEY as PIXELS_KEY
from hashbench.features.backbones.pixels import PIXELS, open_pixels
from hashbench.features.backbones.weights import BUNDLED, find_model, find_weights
from hashbench.features.hardware.devices import choose_device, open_fabric
from hashbench.features.hardware.precision import choose_precision, fabric_precision
from hashbench.files.hashing import sha256
from hashbench.progress import to_stderr_once

# Fabric announces its precision on every start; the feature key says it already.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

PAPER_VGG = "vgg16.tv_in1k"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels: the normalisation of CIBHash's code."""
ALIASES = {"vgg16": PAPER_VGG, "efficientnet_lite0": BUNDLED}


def backbone_of(
    key: dict[str, Any],
    fabric: Fabric,
    weights: Path | None,
    tuned: np.ndarray | None = None,
    batch: int | None = None,
) -> Backbone:
    """Return the backbone of a key, run by what the key says."""
    return (OnnxBackbone if "runtime" in key else Backbone)(key, fabric, weights, tuned, batch)


def open_backbone(
    name: str,
    *,
    weights: Path | None = None,
    image_size: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    normalization: str = "imagenet",
    transform: str = "square",
    compiled: bool = False,
    batch_size: int | None = None,
    onnx: bool = True,
) -> Backbone:
    """Resolve a backbone: find its weights and settle its key.

    The network is built, exported and compared with torch's on one image only where ONNX Runtime may run it, and its
    memory is given back.

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
    precision : {"fp32", "bf16", "fp16", "tf32"}
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
    onnx : bool
        On a CPU, in float32, run the network by ONNX Runtime, in about two thirds of torch's time; the key says so.
        Networks that it cannot run, and those that drop features of views, are run by torch.

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
    key_precision = choose_precision(precision, chosen)
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
        "precision": key_precision,
    }
    if transform == "model":
        key |= asdict(model.resized)
    if compiled:
        key["compiled"] = True
    if chosen == "cpu" and batch_size not in (None, BATCH["cpu"]):
        key["batch_size"] = batch_size
    fabric = open_fabric(chosen, precision=fabric_precision(key_precision))
    backbone = Backbone(key, fabric, file, batch=batch_size)
    if chosen != "cpu" or key_precision != "32-true" or compiled or backbone.dropout or not onnx:
        return backbone
    faster = OnnxBackbone({**key, "runtime": RUNTIME}, fabric, file, batch=batch_size)
    problem = problem_of(faster)
    if problem:
        to_stderr_once(f"{backbone.title}: run by torch, not by the faster ONNX Runtime, {problem}")
    return backbone if problem else faster
