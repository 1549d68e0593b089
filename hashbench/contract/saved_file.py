"""Fitted methods and quantizers as single files: arrays and JSON in safetensors, under a checksum, checked when read.

Nothing in such a file is executed, and no text in it becomes a path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.saved_header import COLUMNS, QUANTIZER, REQUIRED, WIDTH, check_header, is_learned
from hashbench.errors import InputError
from hashbench.files.paths import printable
from hashbench.files.schema import Misfit, decoded
from hashbench.files.writing import write_atomically
from hashbench.options import home_expanded

AGAIN = "get the file again, or train it again"


@dataclass(frozen=True)
class SavedFile:
    """What a file holds, checked, without the class of what was trained.

    Attributes
    ----------
    path : Path
    header : dict
        ``method`` (its name), ``params``, ``fitted``, ``kind`` for a quantizer, and the provenance.
    arrays : dict of ndarray
        Learned arrays by attribute.
    sha256 : str
        Checksum of header and arrays: the same for every copy of the file, and for no other method.
    """

    path: Path
    header: dict[str, Any]
    arrays: dict[str, np.ndarray]
    sha256: str

    @property
    def kind(self) -> str:
        """What the file holds, as plugins name it: ``"methods"`` or ``"quantizers"``."""
        return "quantizers" if self.header.get("kind") == QUANTIZER else "methods"

    @property
    def name(self) -> str:
        """Name of the method or quantizer."""
        return self.header["method"]

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of its class."""
        return self.header["params"]

    @property
    def learned(self) -> dict[str, Any]:
        """Learned values by attribute, the width among them; without the names of columns."""
        return {name: value for name, value in {**self.arrays, **self.header["fitted"]}.items() if name != COLUMNS}

    @property
    def width(self) -> int:
        """Values in a training vector."""
        return self.header["fitted"][WIDTH]

    @property
    def columns(self) -> np.ndarray | None:
        """Names of the training table's columns as scikit-learn keeps them, (width,) object, if it had any."""
        names = self.header["fitted"].get(COLUMNS)
        return None if names is None else np.array(names, object)

    @property
    def provenance(self) -> dict[str, Any]:
        """The header without what `hashbench.HashMethod.save` itself puts into it."""
        return {key: value for key, value in self.header.items() if key not in (*REQUIRED, "kind")}


def write_saved(
    path: Path,
    *,
    kind: str,
    name: str,
    params: Mapping[str, Any],
    learned: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write what was trained, whole or not at all.

    Parameters
    ----------
    path : Path
    kind : {"methods", "quantizers"}
    name : str
    params : mapping
        Parameters of its class, as JSON values.
    learned : mapping
        Arrays and JSON values by attribute; ``n_features_in_``, the width of the training vectors, is one of them.
    provenance : mapping
        JSON values that are kept with the parameters; see `hashbench.contract.saved_header.Header`.

    Raises
    ------
    TypeError, ValueError
        A value is not valid JSON or not what its key means, or a learned array holds NaN.
    OSError
        The file cannot be written.
    """
    from safetensors.numpy import save

    arrays, values = {}, {}
    for key, value in learned.items():
        if isinstance(value, np.ndarray):
            arrays[key] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        else:
            values[key] = value.item() if isinstance(value, np.generic) else value
    header = {**provenance, "method": name, "params": params, "fitted": values}
    header |= {"kind": QUANTIZER} if kind == "quantizers" else {}
    check_header(header)
    _check_arrays(arrays)
    text = json.dumps(header, allow_nan=False)
    write_atomically(path, save(arrays, metadata={"hashbench": text, "sha256": checksum(text, arrays)}))


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a header's text and of the arrays: names, dtypes, shapes and values."""
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def read_saved(path: str | Path) -> SavedFile:
    """Read and check a file that `hashbench.HashMethod.save` wrote, without the class of what was trained.

    Raises
    ------
    InputError
        The file is missing, not a saved method, changed since it was saved, holds an entry that no method saves, or a
        method that is not fitted.
    """
    path = home_expanded(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; hashbench run --save-models makes models")
    text, stated, arrays = _read(path)
    if stated is None:
        raise InputError(f"{path} is not a saved hashbench method (it has no checksum); train it again")
    if checksum(text, arrays) != stated:
        raise InputError(f"{path} is damaged: its content does not match its checksum; {AGAIN}")
    header = _parsed(path, text)
    try:
        check_header(header)
        _check_arrays(arrays)
    except Misfit as error:
        raise InputError(f"{path} cannot be used: {error}; {AGAIN}") from error
    return SavedFile(path, header, arrays, stated)


def _read(path: Path) -> tuple[str, str | None, dict[str, np.ndarray]]:
    from safetensors import safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            metadata = file.metadata() or {}
            return metadata["hashbench"], metadata.get("sha256"), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except KeyError as error:
        raise InputError(f"{path} is not a saved hashbench method (it has no header of one)") from error
    except Exception as error:  # what the reader raises depends on where the file is damaged
        reason = printable(str(error), 200)
        raise InputError(f"{path} is not a saved hashbench method ({reason})") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return decoded(text)
    except Misfit as error:
        raise InputError(f"{path} is not a saved hashbench method (its header is damaged: {error})") from error


def _check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that no method learns; infinity may be a bound that was learned."""
    for name, array in arrays.items():
        if not is_learned(name):
            raise Misfit(f"its array {printable(name, 60)!r} is none that a method learns")
        if array.dtype.kind not in "biufc":
            raise Misfit(f"its array {name!r} has dtype {array.dtype}")
        if array.dtype.kind in "fc" and np.isnan(array).any():
            raise Misfit(f"its array {name!r} holds NaN")
