"""Fitted methods as single files: arrays and JSON in safetensors, under a checksum, checked when they are read.

Nothing in such a file is executed, and no text in it becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from hashbench.errors import InputError
from hashbench.files.paths import is_line, is_name, printable

if TYPE_CHECKING:
    from hashbench.method import HashMethod

    Method = TypeVar("Method", bound=HashMethod)

MAX_FEATURES = 2**24
"""Values in a training vector, at most: a greater number in a file is no number of features."""
MAX_LINE = 1000
"""Characters of a protocol's name, at most."""
AGAIN = "get the file again, or train it again"


def is_learned(attribute: str) -> bool:
    """Return whether an attribute of a method is one that ``fit`` sets and a file keeps."""
    return attribute.isidentifier() and attribute.endswith("_") and not attribute.startswith("_")


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_image_shape(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(side is None or _is_count(side) for side in value[:2]) and value[2] in (1, 3) and _is_count(value[2])


class Field(NamedTuple):
    """What a header holds under one key."""

    expected: str
    fits: Callable[[Any], bool]


REQUIRED = {
    "method": Field("a method's name", is_name),
    "params": Field(
        "parameters by name, with n_bits, a positive integer",
        lambda value: isinstance(value, dict) and _is_count(value.get("n_bits")),
    ),
    "fitted": Field(
        "learned values by name",
        lambda value: isinstance(value, dict) and all(map(is_learned, value)),
    ),
}
"""What every header holds."""
OPTIONAL = {
    "plugin": Field("a method's name", is_name),
    "source": Field("a SHA-256", _is_sha256),
    "label": Field("a text", lambda value: isinstance(value, str)),
    "record": Field("a record's name", is_name),
    "dataset": Field("a data set's name", is_name),
    "protocol": Field(
        f"a line of up to {MAX_LINE} characters",
        lambda value: isinstance(value, str) and len(value) <= MAX_LINE and is_line(value),
    ),
    "features": Field("a feature key", lambda value: isinstance(value, dict)),
    "image_shape": Field("null, or height, width and channels (1 or 3)", _is_image_shape),
}
"""What a run adds; other keys are kept as they are, and nothing reads them."""


@dataclass(frozen=True)
class SavedMethod:
    """What a file holds, checked, without the method's class.

    Attributes
    ----------
    path : Path
    header : dict
        ``method`` (its name), ``params``, ``fitted`` and the provenance.
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
        return {key: value for key, value in self.header.items() if key not in REQUIRED}


def write_saved(path: Path, method: HashMethod, provenance: Mapping[str, Any]) -> None:
    """Write a fitted method, whole or not at all.

    Parameters
    ----------
    path : Path
    method : HashMethod
    provenance : mapping
        JSON values that are kept beside the parameters; see ``OPTIONAL``.

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
    for key, value in vars(method).items():
        if is_learned(key) and isinstance(value, np.ndarray):
            arrays[key] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        elif is_learned(key):
            values[key] = value.item() if isinstance(value, np.generic) else value
    header = {**provenance, "method": method.name, "params": method.get_params(), "fitted": values}
    problem = _header_problem(header) or _array_problem(arrays)
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
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; hashbench run --save-models makes models")
    text, stated, arrays = _read(path)
    if not _is_sha256(stated):
        raise InputError(f"{path} is not a saved hashbench method (it has no checksum); train it again")
    if checksum(text, arrays) != stated:
        raise InputError(f"{path} is damaged: its content is not what its checksum stands for; {AGAIN}")
    header = _parsed(path, text)
    problem = _header_problem(header) or _array_problem(arrays)
    if problem:
        raise InputError(f"{path} cannot be used: {problem}; {AGAIN}")
    return SavedMethod(path, header, arrays, stated)


def restore(method_class: type[Method], saved: SavedMethod) -> Method:
    """Return the method that a file holds.

    Raises
    ------
    InputError
        The file holds another method or one that is not fitted, or its parameters and arrays do not fit the class.
    """
    name = saved.header["method"]
    if name != method_class.name:
        raise InputError(f"{saved.path} holds a saved {name!r}, not a {method_class.name!r}")
    width = saved.header["fitted"].get("n_features_in_")
    if width is None:
        raise InputError(f"{saved.path} holds a method that was saved before it was fitted")
    if not _is_count(width) or width > MAX_FEATURES:
        raise InputError(f"{saved.path} cannot be used: n_features_in_ is {shown(width)}, expected 1 to {MAX_FEATURES}")
    try:
        method = method_class(**saved.header["params"])
        for key, value in {**saved.arrays, **saved.header["fitted"]}.items():
            setattr(method, key, value)
        _try(method, width)
    except Exception as error:  # a plugin raises whatever it likes on values that are not its own
        reason = printable(str(error) or type(error).__name__, 200)
        raise InputError(f"{saved.path} does not fit the {name!r} that is here ({reason}); train it again") from error
    return method


def shown(value: Any) -> str:
    """Return a JSON value of a file for a message: short, and without anything that a terminal obeys."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return printable(json.dumps(value, ensure_ascii=False), 60)


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
        header = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a saved hashbench method (its header is damaged: {error})") from error
    if not isinstance(header, dict):
        raise InputError(f"{path} is not a saved hashbench method (its header is no JSON object)")
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too great")
    return value


def _header_problem(header: Mapping[str, Any]) -> str:
    """Return what is wrong with a header, or nothing."""
    for key, field in {**REQUIRED, **OPTIONAL}.items():
        if key not in header and key in REQUIRED:
            return f"its header has no {key!r}"
        if key in header and not field.fits(header[key]):
            return f"its header's {key!r} is {shown(header[key])}, expected {field.expected}"
    return ""


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


def _try(method: HashMethod, width: int) -> None:
    """Raise unless a method gives ``n_bits`` values for one vector: its arrays fit each other and its parameters."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = np.asarray(method.project(np.ones((1, width), np.float32)))
    if values.shape != (1, method.n_bits) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"project gives shape {values.shape} and dtype {values.dtype} for one vector, n_bits is {method.n_bits}"
        )
