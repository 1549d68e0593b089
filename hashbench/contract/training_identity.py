"""Which training a folder of checkpoints belongs to: all of its data, its parameters and its code.

The identity is in a small file next to the checkpoint. Making it reads the data once, which takes about 1.4 s a
gigabyte on one core of 2020.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import InputError
from hashbench.files.source import hash_class
from hashbench.files.writing import write_atomically

NAME = "training.json"
"""Name of the file in the folder of checkpoints."""
BLOCK_BYTES = 2**24
"""Bytes of an array that are in memory at once while it is hashed."""


def checkpoint_folder(workdir: Any) -> Path:
    """Return the folder of checkpoints, which is made where it is not there.

    Parameters
    ----------
    workdir : path-like

    Raises
    ------
    InputError
        ``workdir`` is not a path, or no folder can be made there.
    """
    try:
        folder = Path(workdir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except TypeError as error:
        raise InputError(f"workdir={workdir!r}: expected the path of a folder") from error
    except OSError as error:
        raise InputError(f"workdir {workdir}: no folder can be there ({error.strerror}); name another") from error
    return folder


def training_identity(method: Any, X: np.ndarray, labels: list[Any], extras: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint must have been trained on and by; JSON values.

    Parameters
    ----------
    method : hashbench.contract.estimator.Estimator
    X : ndarray of shape (n, d), float32
    labels : list
        The labels of the rows, if ``fit`` takes them; those of a method that reads none do not count.
    extras : dict
        What ``fit`` is given by keyword. Arrays count, and what says by an attribute ``identity`` which it is.
    """
    read = labels if method.supervision == "supervised" else []
    data = {name: _identity(value) for name, value in sorted(extras.items())}
    return {
        "method": method.name,
        "code": hash_class(type(method)),
        "parameters": {name: _plain(value) for name, value in method.get_params(deep=False).items()},
        "data": array_hash(X),
        "labels": array_hash(np.asarray(read[0])) if read else None,
        **{name: value for name, value in data.items() if value is not None},
    }


def keep_identity(file: Path, identity: dict[str, Any]) -> None:
    """Write down which training a folder belongs to, unless that is written there already.

    Parameters
    ----------
    file : Path
    identity : dict
        What `training_identity` returned.

    Raises
    ------
    InputError
        The folder holds files of another training, or the file cannot be written.
    """
    expected = json.loads(json.dumps(identity))
    kept = _read(file)
    if kept == expected:
        return
    others = [path for path in file.parent.iterdir() if path.name != file.name]
    if kept is not None and others:
        differ = ", ".join(sorted(name for name in {*kept, *expected} if kept.get(name) != expected.get(name)))
        raise InputError(
            f"{file.parent} holds a checkpoint of another training (other {differ}): remove it, or resume that"
        )
    try:
        write_atomically(file, (json.dumps(identity, indent=1) + "\n").encode())
    except OSError as error:
        raise InputError(f"workdir: {file} cannot be written ({error.strerror}); name another folder") from error


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's dtype, shape and values, whatever its layout; memory-maps are read in blocks."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    row_bytes = max(1, array[:1].nbytes)
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[start : start + step]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _identity(value: Any) -> Any:
    """Return what tells an extra of ``fit`` from another; None for one that decides nothing, such as a function."""
    if isinstance(value, np.ndarray):
        return array_hash(value)
    return getattr(value, "identity", None)


def _plain(value: Any) -> Any:
    """Return a parameter as a JSON value; of an object that has none its type alone."""
    if isinstance(value, np.ndarray):
        return array_hash(value)
    if isinstance(value, np.generic):
        return value.item()
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return os.fspath(value) if isinstance(value, os.PathLike) else type(value).__qualname__


def _read(file: Path) -> dict[str, Any] | None:
    """Return the identity that a file holds, or None where it holds none that can be read."""
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None
