"""The files of an exported protocol: arrays, images, and lists as DeepHash and HashNet read them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages, decoding_threads
from hashbench.progress import progress

LISTS = {"query": "test.txt", "train": "train.txt", "database": "database.txt"}
"""What DeepHash and HashNet call the list of each part."""
IMAGES = "images"
BLOCK_BYTES = 2**24
BATCH = 256
"""Image files, or lines of a list, that are in memory at once."""
SUFFIXES = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II": ".tif",
    b"MM": ".tif",
    b"P": ".ppm",
}
"""The suffix of an image file by its first bytes."""


def write_array(file: Path, array: np.ndarray) -> str:
    """Write a .npy file block by block, and return its SHA-256.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    header = io.BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, facts)
    step = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    blocks = (np.ascontiguousarray(array[start : start + step]).tobytes() for start in range(0, len(array), step))
    return write_bytes(file, [header.getvalue()], blocks)


def write_bytes(file: Path, *contents: Iterable[bytes]) -> str:
    """Write a file piece by piece, and return its SHA-256.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    digest = hashlib.sha256()
    with file.open("wb") as stream:
        for pieces in contents:
            for piece in pieces:
                stream.write(piece)
                digest.update(piece)
    return digest.hexdigest()


def write_images(folder: Path, images: np.ndarray | EncodedImages, as_png: bool) -> tuple[list[str], str]:
    """Write each image to a file, and return the files' names and the SHA-256 of their content, one after the other.

    Parameters
    ----------
    folder : Path
        It exists and is empty.
    images : ndarray of shape (n, h, w, c), uint8, or EncodedImages
    as_png : bool
        Whether the pixels are written as PNG; else the files are written as they are.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    digest, names = hashlib.sha256(), []
    width = len(str(len(images) - 1))
    with progress(f"writing {len(images):,} images", len(images)) as bar:
        for row, content in enumerate(_encoded(images, as_png)):
            names.append(f"{row:0{width}}{_suffix(content)}")
            (folder / names[-1]).write_bytes(content)
            digest.update(content)
            bar.advance(1)
    return names, digest.hexdigest()


def images_sha256(folder: Path) -> str:
    """Return the SHA-256 of the content of a folder's files, one after the other in the order of their names.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _encoded(images: np.ndarray | EncodedImages, as_png: bool) -> Iterator[bytes]:
    for start in range(0, len(images), BATCH):
        if as_png:
            yield from decoding_threads().map(_png, images[start : start + BATCH])
        else:
            assert isinstance(images, EncodedImages)
            yield from map(images.encoded, range(start, min(start + BATCH, len(images))))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _suffix(content: bytes) -> str:
    return next((suffix for start, suffix in SUFFIXES.items() if content.startswith(start)), ".img")


def list_lines(paths: Sequence[str], labels: np.ndarray, classes: np.ndarray) -> Iterator[bytes]:
    """Yield the lines of a list: the path and a mark 0 or 1 for each label, with spaces between.

    Parameters
    ----------
    paths : sequence of str
        Without white space, which the loaders of DeepHash and HashNet would take for the end of the path.
    labels : ndarray of shape (n,), int64, or (n, n_labels), bool
    classes : ndarray of int64
        The classes in the order of their marks, where labels are classes.
    """
    for start in range(0, len(paths), BATCH):
        block = labels[start : start + BATCH]
        marks = block if block.ndim == 2 else block[:, None] == classes
        text = np.full((len(marks), 2 * marks.shape[1]), ord(" "), np.uint8)
        text[:, 1::2] = ord("0") + marks
        for path, row in zip(paths[start : start + BATCH], text, strict=True):
            yield path.encode() + row.tobytes() + b"\n"


def write_lists(folder: Path, dataset: Dataset, paths: Sequence[str]) -> dict[str, str]:
    """Write the lists of the three parts, and return the SHA-256 of each by its name.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    labels, n_named = dataset.labels, len(dataset.label_names)
    assert labels is not None
    is_named = labels.ndim == 1 and 0 <= labels.min() <= labels.max() < n_named
    classes = np.arange(n_named) if is_named else np.unique(labels)
    sums = {}
    for part, name in LISTS.items():
        rows = getattr(dataset.split, part)
        lines = list_lines([paths[row] for row in rows.tolist()], labels[rows], classes)
        sums[name] = write_bytes(folder / name, lines)
    return sums


def json_bytes(value: object) -> bytes:
    """Return a value as the content of a JSON file for people."""
    return (json.dumps(value, indent=2) + "\n").encode()
