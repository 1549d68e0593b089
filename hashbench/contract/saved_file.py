"""Fitted methods and quantizers as single files: arrays and JSON in safetensors, under a checksum, checked when read.

Nothing in such a file is executed, and no text in it becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hashbench.contract.quantizer import Quantizer
from hashbench.contract.saved_header import (
    QUANTIZER,
    REQUIRED,
    header_problem,
    is_count,
    is_learned,
    is_sha256,
    parsed_header,
    shown,
)
from hashbench.errors import InputError, Unsupported
from hashbench.files.paths import printable
from hashbench.options import home_expanded

if TYPE_CHECKING:
    from hashbench.contract.method import HashMethod

    Method = TypeVar("Method", bound=HashMethod | Quantizer)

MAX_FEATURES = 2**24
"""Values in a training vector, at most: a greater number in a file is no number of features."""
NAMES = "feature_names_in_"
"""The learned attribute that is kept as a list of names: safetensors has no arrays of text."""
AGAIN = "get the file again, or train it again"


@dataclass(frozen=True)
class SavedMethod:
    """What a file holds, checked, without the method's class.

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
    def provenance(self) -> dict[str, Any]:
        """The header without what `hashbench.HashMethod.save` itself puts into it."""
        return {key: value for key, value in self.header.items() if key not in (*REQUIRED, "kind")}

    @property
    def kind(self) -> str:
        """What the file holds, as plugins name it: ``"methods"`` or ``"quantizers"``."""
        return "quantizers" if self.header.get("kind") == QUANTIZER else "methods"


def write_saved(path: Path, method: HashMethod | Quantizer, provenance: Mapping[str, Any]) -> None:
    """Write a fitted method or quantizer, whole or not at all.

    Parameters
    ----------
    path : Path
    method : HashMethod or Quantizer
    provenance : mapping
        JSON values that are kept beside the parameters; see ``OPTIONAL`` of `hashbench.contract.saved_header`.

    Raises
    ------
    TypeError, ValueError
        A value is no JSON or not what its key stands for, or a learned array holds NaN.
    OSError
        The file cannot be written.
    """
    from safetensors.numpy import save

    from hashbench.files.writing import write_atomically

    arrays, values = {}, {}
    learned = dict(method.learned() if isinstance(method, Quantizer) else vars(method))
    learned.pop(NAMES, None)
    if hasattr(method, NAMES):
        values[NAMES] = list(method.feature_names_in_)
    for key, value in learned.items():
        if is_learned(key) and isinstance(value, np.ndarray):
            arrays[key] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        elif is_learned(key):
            values[key] = value.item() if isinstance(value, np.generic) else value
    header = {**provenance, "method": method.name, "params": method.get_params(), "fitted": values}
    header |= {"kind": QUANTIZER} if isinstance(method, Quantizer) else {}
    problem = header_problem(header) or _array_problem(arrays)
    if problem:
        raise ValueError(problem)
    text = json.dumps(header, allow_nan=False)
    write_atomically(path, save(arrays, metadata={"hashbench": text, "sha256": checksum(text, arrays)}))


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a header's text and of the arrays: names, dtypes, shapes and values."""
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def read_saved(path: str | Path) -> SavedMethod:
    """Read and check a file that `hashbench.HashMethod.save` wrote, without the method's class.

    Raises
    ------
    InputError
        The file is missing, not a saved method, changed since it was saved, or holds what no method saves.
    """
    path = home_expanded(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; hashbench run --save-models makes models")
    text, stated, arrays = _read(path)
    if not is_sha256(stated):
        raise InputError(f"{path} is not a saved hashbench method (it has no checksum); train it again")
    if checksum(text, arrays) != stated:
        raise InputError(f"{path} is damaged: its content is not what its checksum stands for; {AGAIN}")
    header = _parsed(path, text)
    problem = header_problem(header) or _array_problem(arrays)
    if problem:
        raise InputError(f"{path} cannot be used: {problem}; {AGAIN}")
    return SavedMethod(path, header, arrays, stated)


def restore(method_class: type[Method], saved: SavedMethod) -> Method:
    """Return the method or the quantizer that a file holds.

    Raises
    ------
    InputError
        The file holds another method or one that is not fitted, its parameters and arrays do not fit the class, or
        a package that the method needs is not installed.
    """
    name, wanted = saved.header["method"], "quantizers" if issubclass(method_class, Quantizer) else "methods"
    if saved.kind != wanted:
        raise InputError(f"{saved.path} holds one of the {saved.kind} ({name!r}), not one of the {wanted}")
    if name != method_class.name:
        raise InputError(f"{saved.path} holds a saved {name!r}, not a {method_class.name!r}")
    width = saved.header["fitted"].get("n_features_in_")
    if width is None:
        raise InputError(f"{saved.path} holds a method that was saved before it was fitted")
    if not is_count(width) or width > MAX_FEATURES:
        raise InputError(f"{saved.path} cannot be used: n_features_in_ is {shown(width)}, expected 1 to {MAX_FEATURES}")
    fitted = dict(saved.header["fitted"])
    names = _names(fitted.pop(NAMES, None), width, saved.path)
    try:
        method = method_class(**saved.header["params"])
        _set_learned(method, {**saved.arrays, **fitted})
        method.note_fitted()
        _try(method, width)
    except Unsupported as error:
        raise InputError(f"{saved.path} cannot be used: {printable(str(error), 200)}") from error
    except Exception as error:  # a plugin raises whatever it likes on values that are not its own
        reason = printable(str(error) or type(error).__name__, 200)
        raise InputError(f"{saved.path} does not fit the {name!r} that is here ({reason}); train it again") from error
    if names is not None:
        method.feature_names_in_ = names
    return method


def _names(names: Any, width: int, path: Path) -> np.ndarray | None:
    """Return the training table's column names as scikit-learn keeps them."""
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != width or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} cannot be used: its {NAMES} is no list of {width} names; {AGAIN}")
    return np.array(names, object)


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
        return parsed_header(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a saved hashbench method (its header is damaged: {error})") from error


def _array_problem(arrays: Mapping[str, np.ndarray]) -> str:
    """Return what is wrong with the learned arrays, or nothing; infinity may be a bound that was learned."""
    for name, array in arrays.items():
        if not is_learned(name):
            return f"its array {printable(name, 60)!r} is none that a method learns"
        if array.dtype.kind not in "biufc":
            return f"its array {name!r} has dtype {array.dtype}"
        if array.dtype.kind in "fc" and np.isnan(array).any():
            return f"its array {name!r} holds NaN"
    return ""


def _set_learned(method: HashMethod | Quantizer, learned: dict[str, Any]) -> None:
    """Give a method the attributes that its ``fit`` would have set."""
    if isinstance(method, Quantizer):
        method.set_learned(learned)
        return
    for key, value in learned.items():
        setattr(method, key, value)


def _try(method: HashMethod | Quantizer, width: int) -> None:
    """Raise unless a method gives what it must for one vector: its arrays fit each other and its parameters."""
    row = np.ones((1, width), np.float32)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if isinstance(method, Quantizer):
            asked, shape = "distances", (1, 1)
            values = np.asarray(method.distances(row, method.encode(row)))
        else:
            asked, shape = "project", (1, method.n_bits)
            values = np.asarray(method.project(row))
    if values.shape != shape or values.dtype.kind not in "biuf":
        expected = "" if isinstance(method, Quantizer) else f", n_bits is {method.n_bits}"
        raise ValueError(f"{asked} gives shape {values.shape} and dtype {values.dtype} for one vector{expected}")
