"""Packed codes as .npy files; next to them the names of their rows, which model made them, and how images were read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.look import Look, look_of_key
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy
from hashbench.files.hashing import sha256
from hashbench.files.paths import is_line, printable
from hashbench.files.writing import as_input_error, atomic_stream, write_atomically
from hashbench.models.encode import Encoded
from hashbench.models.model_files import MAX_LABEL, SavedModel
from hashbench.progress import to_stderr


def names_path(path: Path) -> Path:
    """Return the path of the names of a code file's rows: ``codes.names.txt`` next to ``codes.npy``."""
    return path.with_suffix(".names.txt")


def origin_path(path: Path) -> Path:
    """Return the file that says which model made codes, and of which look: ``codes.model.json`` for ``codes.npy``."""
    return path.with_suffix(".model.json")


def write_codes(path: Path, encoded: Encoded, model: SavedModel) -> None:
    """Write codes, which model made them, how their images were read, and the names of their rows, if they have any.

    Parameters
    ----------
    path : Path
        Ends in ``.npy``.
    encoded : Encoded
        Without names, a list of names next to older codes is removed.
    model : SavedModel
        What made the codes.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    with as_input_error(path):
        # Neither names nor origin of other codes are ever next to these, whenever the process is killed.
        names_path(path).unlink(missing_ok=True)
        origin_path(path).unlink(missing_ok=True)
        with atomic_stream(path) as stream:
            np.save(stream, encoded.codes)
        origin = {"model": model.sha256, "label": model.label, "n_bits": model.n_bits, "codes": sha256(path)}
        origin |= {} if encoded.look is None else {"exif": False} | encoded.look.key
        write_atomically(origin_path(path), (json.dumps(origin, indent=1) + "\n").encode())
        if encoded.names:
            write_atomically(names_path(path), "".join(f"{name}\n" for name in encoded.names).encode())


def read_codes(path: Path, model: SavedModel, log: Callable[[str], None] = to_stderr) -> Encoded:
    """Return the codes of a file, memory-mapped, and the names of their rows, if there are any.

    Parameters
    ----------
    path : Path
    model : SavedModel
        What must have made the codes.
    log : callable
        Called with a line of warning where no file next to the codes says which model made them.

    Raises
    ------
    InputError
        The codes have another length or come from another model, or the files next to them describe other codes.
    """
    codes, n_bits = open_npy(path), model.n_bits
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != model.code_width:
        raise InputError(
            f"{path} has shape {codes.shape} and dtype {codes.dtype}, codes of {model.length} are "
            f"(n, {model.code_width}) uint8"
        )
    if (codes[:, -1] & ((1 << (8 * model.code_width - n_bits)) - 1)).any():
        raise InputError(f"{path} holds codes of more than {n_bits} bits: encode them with the model that searches")
    origin: dict[str, Any] = {}
    if origin_path(path).is_file():
        origin = _matching_origin(path, model)
    else:
        log(f"warning: {path} does not say which model made it; it is taken for codes of {model.path}")
    return Encoded(codes, _read_names(names_path(path), len(codes)), _read_look(origin, origin_path(path)))


def _read_look(origin: dict[str, Any], path: Path) -> Look | None:
    """Return how the images became pixels; None where it is not known, or there were none."""
    try:
        return look_of_key(origin) if isinstance(origin.get("exif"), bool) else None
    except InputError as error:
        raise InputError(f"{path} does not say how the images were read; encode again or remove it") from error


def _matching_origin(path: Path, model: SavedModel) -> dict[str, Any]:
    """Return the origin of codes, if it is about them and about this model."""
    origin = _read_origin(origin_path(path))
    if origin["codes"] != sha256(path):
        raise InputError(f"{origin_path(path)} is about other codes than {path} holds; encode again or remove it")
    if origin["model"] != model.sha256:
        raise InputError(
            f"{path} holds codes of another model ({printable(origin['label'], MAX_LABEL)}) than {model.path}: "
            "search with the model that made them, or encode them again"
        )
    return origin


def _read_origin(path: Path) -> dict[str, Any]:
    try:
        origin = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({printable(str(error), 100)}); encode again or remove it") from error
    texts = ("model", "label", "codes")
    if not isinstance(origin, dict) or not all(isinstance(origin.get(key), str) for key in texts):
        raise InputError(f"{path} does not say which model made the codes; encode again or remove it")
    return origin


def _read_names(path: Path, n: int) -> list[str]:
    if not path.is_file():
        return []
    try:
        names = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable list of names ({error})") from error
    if len(names) != n or not all(map(is_line, names)):
        raise InputError(f"{path} is not a list of {n} names, one for each code; encode again or remove it")
    return names
