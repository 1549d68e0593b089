"""Images as data sets ship them, and images of many sizes as hashbench keeps them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.decoding import decode
from hashbench.data.look import Look
from hashbench.files.arrays import SharedArray
from hashbench.files.cores import n_cores


@dataclass(frozen=True)
class ImageFiles:
    """Encoded images (JPEG, PNG and so on) as a data set's publisher ships them.

    Attributes
    ----------
    sources : sequence of Path or bytes
        Files, or their content.
    shown_as : sequence of str
        What a message calls each.
    size : (height, width) or None
        What every image must have; None where sizes differ.
    look : Look
        How they become pixels; `LoadOptions.look` is what the user asks for.
    """

    sources: Sequence[Path | bytes]
    shown_as: Sequence[str]
    size: tuple[int, int] | None = None
    look: Look = Look()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.sources)


@dataclass(frozen=True)
class SomeSources(Sequence[Any]):
    """Some images of a sequence that may read each only when it is asked for.

    Attributes
    ----------
    sources : sequence of Path or bytes
    rows : sequence of int
    """

    sources: Sequence[Any]
    rows: Sequence[int]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        """Return an image's file, or its content."""
        return self.sources[self.rows[at]]


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
    look : Look
        How they become pixels; sizes are those of images that were turned.
    """

    data: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    look: Look = Look()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.sizes)

    def __getitem__(self, rows: slice | np.ndarray) -> list[np.ndarray]:
        """Return images (h, w, 3), uint8, decoded in parallel."""
        numbers = np.arange(len(self))[rows]
        return list(decoding_threads().map(self._decode, numbers.tolist()))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Send another process the files' names instead of their content, where the bytes are in a file."""
        return _open_encoded, (self.look, *(SharedArray(array) for array in (self.data, self.offsets, self.sizes)))

    def encoded(self, row: int) -> bytes:
        """Return the bytes of an image file."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def _decode(self, row: int) -> np.ndarray:
        return decode(self.encoded(row), f"image {row}", look=self.look)


def _open_encoded(look: Look, data: SharedArray, offsets: SharedArray, sizes: SharedArray) -> EncodedImages:
    return EncodedImages(data.array, offsets.array, sizes.array, look)


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


@functools.cache
def decoding_threads() -> ThreadPoolExecutor:
    """Return this process's decoding threads: decoders release Python's lock."""
    return ThreadPoolExecutor(n_cores(), thread_name_prefix="decode")
