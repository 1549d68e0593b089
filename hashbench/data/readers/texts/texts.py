"""Texts as they are kept, and what no text is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashbench.data.images import EncodedImages
from hashbench.data.view_recipes import ViewRecipe
from hashbench.errors import InputError, shorten
from hashbench.files.arrays import SharedArray

LONGEST = 2**24
"""Maximum bytes of a text: more than any book, and less than a file whose line ends are missing."""


@dataclass(frozen=True)
class Texts(EncodedImages):
    """Texts of any lengths in one file of their UTF-8 bytes.

    They are kept in the form of images of many sizes, so that all that prepares, compares and shares these works with
    texts as well. ``sizes`` has the number of characters, and of words between spaces.
    """

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Return texts as they are kept."""
        encoded = [text.encode() for text in texts]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in encoded], dtype=np.int64)])
        sizes = np.array([(len(text), len(text.split())) for text in texts], np.int32).reshape(-1, 2)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets, sizes)

    @classmethod
    def opened(cls, kept: EncodedImages) -> Texts:
        """Return texts that come out of prepared data."""
        return cls(kept.data, kept.offsets, kept.sizes)

    def __getitem__(self, rows: slice | np.ndarray) -> list[str]:  # type: ignore[override]
        """Return some texts."""
        return [self.encoded(row).decode() for row in np.arange(len(self))[rows].tolist()]

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send another process the files' names instead of their content, where the bytes are in a file."""
        return _open, tuple(SharedArray(array) for array in (self.data, self.offsets, self.sizes))


def _open(data: SharedArray, offsets: SharedArray, sizes: SharedArray) -> Texts:
    return Texts(data.array, offsets.array, sizes.array)


@dataclass(frozen=True)
class WordDropout(ViewRecipe):
    """How a text becomes a view: each word is left out with a probability, at least one is kept.

    Attributes
    ----------
    rate : float
        The probability.
    """

    rate: float = 0.2


def usable_rows(texts: Sequence[Any], shown_as: Callable[[int], str], skip_empty: bool) -> list[int]:
    """Return the rows that hold a text.

    Parameters
    ----------
    texts : sequence
        What the files hold.
    shown_as : callable
        What a message calls a row.
    skip_empty : bool
        Whether rows without a text are left out, instead of refused.

    Raises
    ------
    InputError
        A row holds no text, or one that is longer than `LONGEST`.
    """
    empty = []
    for row, text in enumerate(texts):
        if text is None or text != text or (isinstance(text, str) and not text.strip()):
            empty.append(row)
        elif not isinstance(text, str):
            raise InputError(
                f"{shown_as(row)}: the text is {shorten(repr(text))} ({type(text).__name__}), expected a text; name "
                "the column of texts with --text-column"
            )
        elif len(text) > LONGEST or (4 * len(text) > LONGEST and len(text.encode()) > LONGEST):
            raise too_long(shown_as(row), len(text.encode()))
    if empty and not (skip_empty and len(empty) < len(texts)):
        way_out = "; remove them, or leave them out with --skip-broken" if len(empty) < len(texts) else ""
        raise InputError(f"{shown_as(empty[0])}: the text is empty, as in {len(empty):,} of {len(texts):,}{way_out}")
    left_out = set(empty)
    return [row for row in range(len(texts)) if row not in left_out]


def too_long(where: str, n_bytes: int | None = None) -> InputError:
    """Return the error about a text that is longer than any."""
    size = "more than" if n_bytes is None else f"{n_bytes:,} bytes, more than"
    return InputError(f"{where}: a text of {size} {LONGEST:,} bytes: are line ends missing? split it")


def not_utf8(where: str, error: UnicodeDecodeError) -> InputError:
    """Return the error about bytes that are not UTF-8."""
    byte = error.object[error.start]
    return InputError(
        f"{where} is not UTF-8 (byte 0x{byte:02x} at {error.start:,}): convert it, as with iconv -f latin1 -t utf-8"
    )
