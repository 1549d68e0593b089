"""What the JSON header of a saved method or quantizer holds, and how it is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hashbench.files.paths import is_line, is_name, printable

MAX_LINE = 1000
"""Characters of a protocol's name, at most."""
MAX_FEATURES = 2**24
"""Values in a training vector, at most: a greater number in a file is no number of features."""
WIDTH = "n_features_in_"
"""The learned value that is the width of the training vectors."""
COLUMNS = "feature_names_in_"
"""The learned value that is the names of the training table's columns: a list, safetensors has no arrays of text."""
QUANTIZER = "quantizer"
"""What a header's ``kind`` says where the file holds no hash method but a quantizer."""


def is_learned(attribute: str) -> bool:
    """Return whether an attribute of a method is one that ``fit`` sets and a file keeps."""
    return attribute.isidentifier() and attribute.endswith("_") and not attribute.startswith("_")


def is_count(value: Any) -> bool:
    """Return whether a value is a positive integer, True not among them."""
    return type(value) is int and value > 0


def is_sha256(value: Any) -> bool:
    """Return whether a value is a SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_image_shape(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(side is None or is_count(side) for side in value[:2]) and value[2] in (1, 3) and is_count(value[2])


class Field(NamedTuple):
    """What a header holds under one key."""

    expected: str
    fits: Callable[[Any], bool]


REQUIRED = {
    "method": Field("a method's name", is_name),
    "params": Field("parameters by name", lambda value: isinstance(value, dict)),
    "fitted": Field(
        "learned values by name",
        lambda value: isinstance(value, dict) and all(map(is_learned, value)),
    ),
}
"""What every header holds."""
OPTIONAL = {
    "kind": Field(f"{QUANTIZER!r}, or none for a hash method", lambda value: value == QUANTIZER),
    "plugin": Field("a method's name", is_name),
    "source": Field("a SHA-256", is_sha256),
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
"""The kind of what is not a hash method, and what a run adds; other keys are kept as they are, nothing reads them."""
HASH_METHOD = {
    "params": Field("parameters by name, with n_bits, a positive integer", lambda value: is_count(value.get("n_bits"))),
}
"""What the header of a hash method holds besides."""


def header_problem(header: Mapping[str, Any]) -> str:
    """Return what is wrong with a header, or nothing."""
    for fields in (REQUIRED, OPTIONAL, {} if "kind" in header else HASH_METHOD):
        for key, field in fields.items():
            if key not in header and fields is REQUIRED:
                return f"its header has no {key!r}"
            if key in header and not field.fits(header[key]):
                return f"its header's {key!r} is {shown(header[key])}, expected {field.expected}"
    return _fitted_problem(header["fitted"])


def _fitted_problem(fitted: Mapping[str, Any]) -> str:
    """Return what is wrong with the width and the column names among learned values, or nothing."""
    width, columns = fitted.get(WIDTH), fitted.get(COLUMNS)
    if width is None:
        return "it was saved before it was fitted"
    if not is_count(width) or width > MAX_FEATURES:
        return f"{WIDTH} is {shown(width)}, expected 1 to {MAX_FEATURES}"
    if columns is None:
        return ""
    are_names = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    return "" if are_names and len(columns) == width else f"its {COLUMNS} is no list of {width} names"


def shown(value: Any) -> str:
    """Return a JSON value of a file for a message: short, and without anything that a terminal obeys."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return printable(json.dumps(value, ensure_ascii=False), 60)
