"""A checkpoint of a training: complete or absent, and only tensors and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from hashbench.errors import InputError

NAME = "checkpoint.pt"
FORMAT = 2
"""Version of the content; in the first, noise was the state of a generator of one device."""


def save(folder: Path, identity: dict[str, Any], progress: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Write a checkpoint to a temporary file and rename it, so that a kill leaves the previous one.

    Parameters
    ----------
    folder : Path
    identity : dict
        JSON values that identify the training.
    progress : dict
        JSON values.
    tensors : dict
        State dicts, or lists of them.
    """
    temporary = folder / f".{NAME}"
    torch.save(
        {"json": json.dumps({"identity": identity, "progress": progress, "format": FORMAT}), **tensors}, temporary
    )
    temporary.replace(folder / NAME)


def load(folder: Path, identity: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return progress and tensors of the folder's checkpoint, or None if there is none that can be read.

    Raises
    ------
    InputError
        The checkpoint belongs to another training, or another version wrote it; the file is left as it is.
    """
    file = folder / NAME
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
        kept = json.loads(tensors.pop("json"))
    except FileNotFoundError:
        return None
    except Exception:  # a file truncated by a power failure can raise any error
        return None
    if kept.get("format") != FORMAT:
        raise InputError(f"{file} is a checkpoint of another version of hashbench: remove it, or resume with that")
    expected = json.loads(json.dumps(identity))
    if kept["identity"] != expected:
        names = sorted(key for key in expected if kept["identity"].get(key) != expected[key])
        differ = ", ".join(names)
        raise InputError(f"{file} is a checkpoint of another training (other {differ}): remove it, or resume that")
    return kept["progress"], tensors
