"""Items by their content: equal bytes, equal pixels, equal values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.data.decoding import content, decode
from hashbench.data.images import EncodedImages, decoding_threads
from hashbench.data.prepared.equal_items import equal_items
from hashbench.errors import InputError
from hashbench.progress import progress

BATCH = 512
"""Files that are read at once."""


def content_ids(items: np.ndarray | EncodedImages, equal: np.ndarray | None = None) -> np.ndarray:
    """Return a number for each item, equal where their values, pixels or files are.

    Parameters
    ----------
    items : ndarray of shape (n, ...), or EncodedImages
    equal : ndarray of shape (m, 2), int64, optional
        From `hashbench.data.prepared.equal_items.equal_items`, where that was done.

    Returns
    -------
    ndarray of shape (n,), int64
        For `hashbench.data.leaks.overlap.overlaps`, by the rows of the parts.
    """
    ids = np.arange(len(items))
    row, first = (equal_items(items) if equal is None else equal).T
    ids[row] = first
    return ids


@dataclass
class FileContents:
    """What files hold, by number: equal numbers, equal content; -1 where there is no such file.

    Attributes
    ----------
    by_bytes : ndarray of shape (n,), int64
    by_pixels : ndarray of shape (n,), int64
        Of a file that is no readable image, by its bytes.
    missing, broken : list of int
        Which files are missing, and which are no readable images.
    """

    by_bytes: np.ndarray
    by_pixels: np.ndarray
    missing: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)


def file_contents(files: Sequence[Path | None], pixels: bool = True) -> FileContents:
    """Return which files hold the same, in one pass: each is read once, and images that differ are decoded once.

    Only a checksum of each file and of its pixels is kept: some 200 bytes a file.

    Parameters
    ----------
    files : sequence of Path or None
        None of a file that is not there.
    pixels : bool
        Whether images are decoded, so that copies in another format are found; otherwise ``by_pixels`` is
        ``by_bytes``.
    """
    decoded: dict[bytes, bytes | None] = {}
    numbers: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
    found = FileContents(np.full(len(files), -1, np.int64), np.full(len(files), -1, np.int64))

    def sums(file: Path | None) -> tuple[bytes, bytes | None] | None:
        if file is None:
            return None
        try:
            encoded = content(file, str(file))
        except InputError:
            return None
        of_bytes = _digest([encoded])
        if pixels and of_bytes not in decoded:
            decoded[of_bytes] = _digest_of_pixels(encoded, str(file))
        return of_bytes, decoded[of_bytes] if pixels else of_bytes

    with progress(f"comparing {len(files):,} files", len(files)) as bar:
        for start in range(0, len(files), BATCH):
            for row, two in enumerate(decoding_threads().map(sums, files[start : start + BATCH]), start):
                if two is None:
                    found.missing.append(row)
                    continue
                if two[1] is None:
                    found.broken.append(row)
                found.by_bytes[row] = numbers[0].setdefault(two[0], len(numbers[0]))
                found.by_pixels[row] = numbers[1].setdefault(two[1] or two[0], len(numbers[1]))
            bar.advance(min(BATCH, len(files) - start))
    return found


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _digest_of_pixels(encoded: bytes, shown_as: str) -> bytes | None:
    """Return a checksum of an image's shape and pixels, grey as three equal channels; None where it is none."""
    try:
        image = decode(encoded, shown_as)
    except InputError:
        return None
    return _digest([str(image.shape).encode(), np.ascontiguousarray(image).tobytes()])
