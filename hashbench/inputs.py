"""What a user hands over to be encoded: vectors or images in a .npy file, image files, folders of them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.errors import InputError
from hashbench.walk import walk

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


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
    found = {
        name: folder / name
        for name, entry in walk(folder, _unreadable)
        if Path(name).suffix.lower() in IMAGE_SUFFIXES and entry.is_file()
    }
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    names = sorted(found)
    return Input(folder, files=[found[name] for name in names], names=[_line(name, folder) for name in names])


def _unreadable(folder: str, error: OSError) -> None:
    raise InputError(f"{folder} cannot be read ({error.strerror})") from error


def _line(name: str, where: Path) -> str:
    """Return a file's name if it can be a line of a text file."""
    if not is_line(name):
        raise InputError(f"{where}: the file name {name!r} holds control characters or is not UTF-8; rename it")
    return name


def is_line(text: str) -> bool:
    """Return whether a text is free of line breaks, other control characters and broken UTF-8."""
    return not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
