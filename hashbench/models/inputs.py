"""What a user hands over to be encoded: arrays of vectors or images, image files, folders of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hashbench.data.readers.arrays.array_formats import SUFFIXES, open_file, suffix_of
from hashbench.data.readers.arrays.stored_array import Contents, StoredArray
from hashbench.data.readers.image_folder import IMAGE_SUFFIXES, line_name, list_folder
from hashbench.errors import InputError


@dataclass(frozen=True)
class Input:
    """An array, or image files.

    Attributes
    ----------
    path : Path
        As the user gave it.
    array : StoredArray or None
        None where the input is image files.
    files : list of Path
    names : list of str
        One per file, relative to the folder; none for an array.
    """

    path: Path
    array: StoredArray | None = None
    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def open_input(path: Path) -> Input:
    """Open an array, an image file, or a folder that is searched for image files.

    A folder's images are those with an image's suffix in it and in the folders below it, sorted by their path
    relative to it; hidden files and folders are passed over, links are followed. Of a file with several arrays, such
    as ``FILE.hdf5``, one is named as ``FILE.hdf5:NAME``; what an array's name is, says
    `hashbench.data.readers.arrays.array_formats.open_file`.

    Raises
    ------
    InputError
        There is no such thing, it is of no known kind, or it is empty; no array is named, or one that is not there.
    """
    if path.is_dir():
        images = list_folder(path)
        return Input(path, files=list(images.values()), names=list(images))
    file, name = _named(path)
    if suffix_of(file) in SUFFIXES:
        return Input(path, _chosen(open_file(file), name, file))
    if file.suffix.lower() in IMAGE_SUFFIXES and name is None:
        return Input(path, files=[path], names=[line_name(path.name, path)])
    raise InputError(
        f"{path}: expected a folder of images, an image ({', '.join(IMAGE_SUFFIXES)}) or an array "
        f"({', '.join(SUFFIXES)})"
    )


def _named(path: Path) -> tuple[Path, str | None]:
    """Return a file, and the name of the array in it where ``path`` ends in one."""
    if path.is_file():
        return path, None
    file, colon, name = str(path).rpartition(":")
    if colon and Path(file).is_file():
        return Path(file), name
    raise InputError(f"{path}: no such file or folder")


def _chosen(contents: Contents, name: str | None, file: Path) -> StoredArray:
    """Return the array of a name, or the only one that has rows of several values."""
    wide = [key for key, stored in contents.arrays.items() if len(stored.shape) > 1]
    names = [name] if name is not None else wide if len(contents.arrays) > 1 else list(contents.arrays)
    if len(names) != 1 or names[0] not in contents.arrays:
        held = ", ".join(sorted(contents.arrays)) or "no array"
        asked = "" if name is None else f", not {name}"
        example = f": name one, as in {file}:{min(wide)}" if wide else ""
        raise InputError(f"{file} holds {held}{asked}{example}")
    return contents.arrays[names[0]]
