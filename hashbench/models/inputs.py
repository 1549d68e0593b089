"""What a user hands over to be encoded: vectors or images in a .npy file, image files, folders of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashbench.data.readers.image_folder import IMAGE_SUFFIXES, line_name, list_folder
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy


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
        images = list_folder(path)
        return Input(path, files=list(images.values()), names=list(images))
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return Input(path, open_npy(path))
    if suffix in IMAGE_SUFFIXES:
        return Input(path, files=[path], names=[line_name(path.name, path)])
    raise InputError(f"{path}: expected a folder of images, a .npy array or an image ({', '.join(IMAGE_SUFFIXES)})")
