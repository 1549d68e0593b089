"""How image files become pixels, where that is a choice: the colour behind transparent pixels, 16-bit grey, EXIF."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hashbench.errors import InputError, shorten

WHITE = "#ffffff"
FULL = "full"
"""The grey range that a file's bit depth gives."""


@dataclass(frozen=True)
class Look:
    """How image files become pixels.

    Attributes
    ----------
    exif : bool
        Whether they are turned as their EXIF orientation says; TIFF files always are.
    background : str
        The colour that transparent images are laid over, ``#rrggbb``; empty where it makes no difference: white.
    grey_range : str
        How grey of more than 8 bits is scaled: ``full``, from 0 to the most that the file can hold, or ``LOW,HIGH``,
        the values that become black and white; empty where such images are refused, or there is none.
    """

    exif: bool = False
    background: str = ""
    grey_range: str = ""

    @property
    def key(self) -> dict[str, Any]:
        """What a feature key says of it: only what makes a difference."""
        return {name: value for name, value in vars(self).items() if value}

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background's red, green and blue."""
        text = self.background or WHITE
        red, green, blue = (int(text[at : at + 2], 16) for at in (1, 3, 5))
        return red, green, blue

    @property
    def limits(self) -> tuple[float, float]:
        """The grey values that become black and white, where they are given."""
        low, _, high = self.grey_range.partition(",")
        return float(low), float(high)

    def seen(self, transparent: bool, deep: bool) -> Look:
        """Return what of it made a difference to some images.

        Parameters
        ----------
        transparent : bool
            Whether one of them is transparent somewhere.
        deep : bool
            Whether one has grey of more than 8 bits.
        """
        background = (self.background or WHITE) if transparent else ""
        return replace(self, background=background, grey_range=self.grey_range if deep else "")


def requested_look(exif: bool = False, background: str | None = None, grey_range: str | None = None) -> Look:
    """Return a look as a user asks for it.

    Parameters
    ----------
    exif : bool
    background : str, optional
        A colour's name in CSS, or ``#rrggbb``.
    grey_range : str, optional
        ``full`` or ``LOW,HIGH``.

    Raises
    ------
    InputError
        ``background`` is not a colour, or ``grey_range`` is not a range.
    """
    return Look(
        exif, "" if background is None else _colour(background), "" if grey_range is None else _range(grey_range)
    )


def look_of_key(key: Mapping[str, Any]) -> Look:
    """Return the look that a feature key speaks of.

    Raises
    ------
    InputError
        The key's background or grey range is damaged.
    """
    texts = {name: key.get(name, "") for name in ("background", "grey_range")}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise InputError(f"its feature key has no usable {wrong[0]}; train it again")
    look = requested_look(key.get("exif") is True, texts["background"] or None, texts["grey_range"] or None)
    if (look.background, look.grey_range) != (texts["background"], texts["grey_range"]):
        raise InputError("its feature key has no usable background or grey_range; train it again")
    return look


def _colour(text: str) -> str:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise InputError(f"--background {shorten(text)!r}: expected a colour, such as white or #ff8000") from error
    return f"#{red:02x}{green:02x}{blue:02x}"


def _range(text: str) -> str:
    if text == FULL:
        return text
    try:
        low, high = map(float, text.split(","))
        if not math.isfinite(high - low) or low >= high:
            raise ValueError
    except ValueError as error:
        raise InputError(f"--grey-range {shorten(text)!r}: expected full, or LOW,HIGH such as 0,4095") from error
    return f"{low:g},{high:g}" if float(f"{low:g}") == low and float(f"{high:g}") == high else f"{low!r},{high!r}"
