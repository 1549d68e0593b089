"""Images as data sets ship them, and images of many sizes as hashbench keeps them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import InputError


@dataclass(frozen=True)
class ImageFiles:
    """Encoded images (JPEG, PNG and so on) as a data set's publisher ships them.

    Attributes
    ----------
    sources : sequence of Path or bytes
        Files, or their content.
    places : sequence of str
        What a message calls each.
    size : (height, width) or None
        What every image must have; None where sizes differ.
    """

    sources: Sequence[Path | bytes]
    places: Sequence[str]
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.sources)


@dataclass(frozen=True)
class EncodedImages:
    """Images of many sizes in one file of their encoded bytes.

    Attributes
    ----------
    data : ndarray of shape (n_bytes,), uint8
        The files, one after the other; may be a memory-map.
    offsets : ndarray of shape (n + 1,), int64
        Where each begins.
    sizes : ndarray of shape (n, 2), int32
        Height and width in pixels.
    """

    data: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.sizes)

    def __getitem__(self, rows: slice | np.ndarray) -> list[np.ndarray]:
        """Return images (h, w, 3), uint8, decoded in parallel."""
        numbers = np.arange(len(self))[rows]
        return in_parallel(self._decode, numbers.tolist())

    def encoded(self, row: int) -> bytes:
        """Return the bytes of an image file."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def _decode(self, row: int) -> np.ndarray:
        return decode(self.encoded(row), f"image {row}")


def read_images(files: ImageFiles) -> np.ndarray | EncodedImages:
    """Return images of one size decoded, of many sizes as they are.

    Raises
    ------
    InputError
        One cannot be read as an image.
    """
    from PIL import Image

    contents, sizes = [], []
    for source, place in zip(files.sources, files.places, strict=True):
        try:
            contents.append(source if isinstance(source, bytes) else source.read_bytes())
            with Image.open(io.BytesIO(contents[-1])) as image:
                sizes.append((image.height, image.width))
        except Exception as error:  # every image format fails in its own way
            raise InputError(f"{place} cannot be read as an image ({type(error).__name__})") from error
    if len(set(sizes)) == 1:
        return np.stack([decode(*one) for one in zip(contents, files.places, strict=True)])
    offsets = np.append(0, np.cumsum([len(content) for content in contents]))
    return EncodedImages(np.frombuffer(b"".join(contents), np.uint8), offsets, np.array(sizes, np.int32))


def sizes_of(images: np.ndarray | EncodedImages, rows: np.ndarray) -> np.ndarray:
    """Return height and width of images, (n, 2)."""
    if isinstance(images, EncodedImages):
        return images.sizes[rows]
    return np.broadcast_to(np.array(images.shape[1:3]), (len(rows), 2))


def batches(images: np.ndarray | EncodedImages, rows: np.ndarray, size: int) -> Iterator[np.ndarray | list[np.ndarray]]:
    """Yield images in batches, each decoded while the one before it is worked on: never more than two in memory."""
    starts = range(0, len(rows), size)
    if isinstance(images, np.ndarray):
        for start in starts:
            yield images[rows[start : start + size]]
        return
    with ThreadPoolExecutor(1) as ahead:
        coming = [ahead.submit(images.__getitem__, rows[:size])]
        for start in starts:
            if start + size < len(rows):
                coming.append(ahead.submit(images.__getitem__, rows[start + size : start + 2 * size]))
            yield coming.pop(0).result()


_POOLS: list[ThreadPoolExecutor] = []


def in_parallel(decode_one: Callable[[Any], np.ndarray], sources: Sequence[Any]) -> list[np.ndarray]:
    """Return what a decoder makes of each source, by threads: decoders release Python's lock."""
    if not _POOLS:
        _POOLS.append(ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode"))
    return list(_POOLS[0].map(decode_one, sources))


def decode(source: Path | bytes, place: str) -> np.ndarray:
    """Return the pixels of an encoded image, (h, w, 3), uint8.

    Raises
    ------
    InputError
        It cannot be read as an image, or is unreasonably large.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.array(image.convert("RGB"))
    except Exception as error:  # every image format fails in its own way
        raise InputError(f"{place} cannot be read as an image ({type(error).__name__})") from error
