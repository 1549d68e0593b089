"""The way back from a feature key to the backbone that makes such features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashbench.data.look import look_of_key
from hashbench.errors import InputError
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.opening import IMAGENET, open_backbone
from hashbench.features.backbones.pixels import PIXELS
from hashbench.features.hardware.precision import PRECISION_WORDS
from hashbench.features.source import feature_key
from hashbench.features.texts.settings import BACKBONES as TEXT_BACKBONES
from hashbench.files.paths import is_name, printable

MAX_SIZE = 4096
"""Side of a backbone's input in pixels, at most: beyond it no memory holds a batch."""
MAX_BATCH = 2**16


def backbone_from_key(
    key: dict[str, Any], *, weights: Path | None = None, device: str = "auto", batch_size: int | None = None
) -> Backbone:
    """Return the backbone whose features have a given key.

    Parameters
    ----------
    key : dict
        What `hashbench.features.source.feature_key` returned, as it comes out of a file.
    weights : Path, optional
        State dict of the backbone, where it is not bundled or cached.
    device : str
        ``auto``, ``cpu``, ``cuda``, or one of several such as ``cuda:1``.
    batch_size : int, optional
        Images at once; by default as many as the key says. On a CPU no other number gives these features.

    Raises
    ------
    InputError
        The key does not belong to a backbone, or the same features cannot be made here.
    """
    if "fitted_on" in key or key.get("backbone") in TEXT_BACKBONES:
        raise InputError("it was trained on texts, of which only a run makes features: give it vectors of that kind")
    problem = _problem(key)
    if problem:
        raise InputError(f"its feature key has no usable {problem}; train it again")
    name, size = key["backbone"], key.get("image_size")
    if name == PIXELS and weights is not None:
        raise InputError("--weights: it was trained on the pixels themselves, which need none")
    try:
        backbone = open_backbone(
            name,
            weights=weights,
            image_size=size,
            device=device,
            precision=PRECISION_WORDS[key["precision"]],
            normalization=_normalization(key),
            transform="model" if "crop_pct" in key else "square",
            compiled=bool(key.get("compiled")),
            batch_size=batch_size or key.get("batch_size"),
            onnx="runtime" in key,
        )
    except RuntimeError as error:  # timm's, of a name whose part behind the dot it does not know
        raise InputError(f"unknown backbone {name!r} ({printable(str(error), 100)})") from error
    here = feature_key(backbone, look_of_key(key))
    here = {name: value for name, value in here.items() if name != "runtime"}  # features differ by rounding only
    key = {name: value for name, value in key.items() if name != "runtime"}
    if "batch_size" in key and backbone.fabric.device.type != "cpu":  # a GPU's key names none
        here["batch_size"] = key["batch_size"]
    differences = _differences(key, here)
    if differences:
        raise InputError(f"the same features cannot be made here: {'; '.join(differences)}")
    return backbone


def _normalization(key: dict[str, Any]) -> str:
    return "imagenet" if [key.get("mean"), key.get("std")] == [list(values) for values in IMAGENET] else "model"


def _problem(key: dict[str, Any]) -> str:
    """Return which entry cannot be a backbone's, or nothing."""
    size = key.get("image_size")
    usable = {
        "backbone": is_name(key.get("backbone")),
        "image_size": size is None or _is_count(size, MAX_SIZE),
        "precision": isinstance(key.get("precision"), str) and key["precision"] in PRECISION_WORDS,
        "compiled": isinstance(key.get("compiled", False), bool),
        "batch_size": "batch_size" not in key or _is_count(key["batch_size"], MAX_BATCH),
    }
    return next((f"{name} ({_short(key.get(name))})" for name, fits in usable.items() if not fits), "")


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 0 < value <= most


def _differences(key: dict[str, Any], here: dict[str, Any]) -> list[str]:
    return [
        f"{_short(name)} is {_short(here.get(name))}, the model's is {_short(key.get(name))}"
        for name in {**key, **here}
        if here.get(name) != key.get(name)
    ]


def _short(value: Any) -> str:
    """Return a value of a key for a message, a checksum by its first digits."""
    if isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(one, float | int) for one in value)):
        return "something else"
    text = str(value)
    return f"{printable(text[:12], 60)}…" if len(text) == 64 else printable(text, 60)
