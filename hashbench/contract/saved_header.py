"""The JSON header of a saved method or quantizer, and how it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hashbench.files.paths import is_line, is_name
from hashbench.files.schema import Misfit, Sha256, Text, checked

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
Size = Annotated[int, Meta(ge=1)]
REQUIRED = ("method", "params", "fitted")
"""What every header holds."""


def is_learned(attribute: str) -> bool:
    """Return whether an attribute of a method is one that ``fit`` sets and a file keeps."""
    return attribute.isidentifier() and attribute.endswith("_") and not attribute.startswith("_")


class Name(Text):
    """The name of a method, a data set or a record."""

    expected = "a name that leads to no other folder"
    fits = staticmethod(is_name)


class Kind(Text):
    """What the file holds."""

    expected = f"{QUANTIZER!r}, or none for a hash method"

    @staticmethod
    def fits(text: str, /) -> bool:
        """Return whether a text is a kind's name."""
        return text == QUANTIZER


class ShortLine(Text):
    """The name of a protocol, also of one that this version does not know."""

    expected = f"a line of up to {MAX_LINE} characters"

    @staticmethod
    def fits(text: str, /) -> bool:
        """Return whether a text is a line that is not too long."""
        return len(text) <= MAX_LINE and is_line(text)


class LearnedName(Text):
    """An attribute that ``fit`` sets."""

    expected = "the name of a learned value"
    fits = staticmethod(is_learned)


class Header(TypedDict):
    """What a header holds; what a run adds need not be there, and nothing reads other keys."""

    method: Name
    params: dict[str, Any]
    fitted: dict[LearnedName, Any]
    kind: NotRequired[Kind]
    plugin: NotRequired[Name]
    source: NotRequired[Sha256]
    label: NotRequired[str]
    record: NotRequired[Name]
    dataset: NotRequired[Name]
    protocol: NotRequired[ShortLine]
    features: NotRequired[dict[str, Any]]
    image_shape: NotRequired[tuple[Size | None, Size | None, Literal[1, 3]] | None]


class Learned(TypedDict):
    """What every method and quantizer has learned."""

    n_features_in_: Annotated[int, Meta(ge=1, le=MAX_FEATURES)]
    feature_names_in_: NotRequired[list[str]]


class Fitted(TypedDict):
    """The header of what is fitted."""

    fitted: Learned


class Sized(TypedDict):
    """What every hash method has as a parameter."""

    n_bits: Size


class OfHashMethod(TypedDict):
    """The header of a hash method."""

    params: Sized


def check_header(header: Mapping[str, Any]) -> None:
    """Refuse what is no header of something fitted.

    Raises
    ------
    Misfit
        A value is missing, or is not what its key means.
    """
    checked(header, Header)
    if header["fitted"].get(WIDTH) is None:
        raise Misfit("it was saved before it was fitted")
    checked(header, Fitted)
    if "kind" not in header:
        checked(header, OfHashMethod)
    width, columns = header["fitted"][WIDTH], header["fitted"].get(COLUMNS)
    if columns is not None and len(columns) != width:
        raise Misfit(f"its {COLUMNS} is no list of {width} names")
