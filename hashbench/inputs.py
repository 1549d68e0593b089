"""What a user hands over to be encoded: vectors or images in a .npy file, image files, folders of them."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.errors import InputError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
DEEP_MODES = ("I", "F")
"""Pillow's modes of more than 8 bits a channel (with their variants): converting them to 8 bits clips them."""


@dataclass(frozen=True)
class Input:
    """An array, or image files.

    Attributes
    ----------
    path : Path
        As the user gave it.
    array : ndarray or None
        Memory-mapped; None where the input is image files.
    files : list of Path
    names : list of str
        One per file, relative to the folder; none for an array.
    """

    path: Path
    array: np.ndarray | None = None
    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def open_input(path: Path) -> Input:
    """Open a .npy array, an image file, or a folder that is searched for image files.

    A folder's images are those with an image's suffix in it and in the folders below it, sorted by their path
    relative to it; hidden files and folders are passed over, links are followed.

    Raises
    ------
    InputError
        There is no such thing, it is of no known kind, or it is empty.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return Input(path, open_array(path))
    if suffix in IMAGE_SUFFIXES:
        return Input(path, files=[path], names=[_line(path.name, path)])
    raise InputError(f"{path}: expected a folder of images, a .npy array or an image ({', '.join(IMAGE_SUFFIXES)})")


def open_array(path: Path) -> np.ndarray:
    """Memory-map a .npy file, read-only.

    Raises
    ------
    InputError
        The file is damaged, holds Python objects, or holds no item.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a readable .npy array ({error})") from error
    if 0 in array.shape:
        raise InputError(f"{path} has shape {array.shape}: there is nothing in it")
    return array


def _open_folder(folder: Path) -> Input:
    found = {}
    for path in _walk(folder):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            found[path.relative_to(folder).as_posix()] = path
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    names = sorted(found)
    return Input(folder, files=[found[name] for name in names], names=[_line(name, folder) for name in names])


def _walk(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield what is not hidden and no folder, at any depth, also through links, but not those to a folder above."""
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        with os.scandir(folder) as entries:
            found = [] if here in above else [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error
    for entry in found:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and path.is_dir()):
            yield from _walk(path, above | {here})
        else:
            yield path


def _line(name: str, where: Path) -> str:
    """Return a file's name if it can be a line of a text file."""
    if not is_line(name):
        raise InputError(f"{where}: the file name {name!r} holds control characters or is not UTF-8; rename it")
    return name


def is_line(text: str) -> bool:
    """Return whether a text is free of line breaks, other control characters and broken UTF-8."""
    return not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def read_image(path: Path, n_channels: int) -> np.ndarray:
    """Read an image in colour or in grey.

    Parameters
    ----------
    path : Path
    n_channels : {1, 3}
        Colours become grey by ITU-R 601's weights. The EXIF orientation is not applied, as it is not to data sets,
        so that an image gets the code that it has there. An alpha channel is dropped; of an animation, the first frame
        is taken.

    Returns
    -------
    ndarray of shape (height, width, n_channels), uint8

    Raises
    ------
    InputError
        The file cannot be read as an image, is unreasonably large, or has more than 8 bits a channel.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                mode = image.mode
                if not mode.startswith(DEEP_MODES):
                    pixels = np.array(image.convert("RGB" if n_channels == 3 else "L"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise InputError(f"{path} has more than {limit} pixels, as a decompression bomb has; scale it down") from error
    except Exception as error:  # every image format fails in its own way
        raise InputError(f"{path} cannot be read as an image ({type(error).__name__}); remove or replace it") from error
    if mode.startswith(DEEP_MODES):
        raise InputError(f"{path} has more than 8 bits a channel (mode {mode}); convert it to 8 bits")
    return pixels.reshape(*pixels.shape[:2], n_channels)
