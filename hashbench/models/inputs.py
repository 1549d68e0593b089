"""What a user hands over to be encoded: arrays of vectors or images, image files, folders of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hashbench.data.readers.arrays.array_formats import SUFFIXES, Contents, open_file
from hashbench.data.readers.arrays.stored_array import StoredArray
from hashbench.data.readers.image_folder import find_images, image_suffixes, is_image, line_name, said_of
from hashbench.errors import InputError
from hashbench.progress import to_stderr


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

    A folder's images are those that `hashbench.data.readers.image_folder.find_images` finds, sorted by their path
    relative to it. Of a file with several arrays, such
    as ``FILE.hdf5``, one is named as ``FILE.hdf5:NAME``; what an array's name is, says
    `hashbench.data.readers.arrays.array_formats.open_file`.

    Raises
    ------
    InputError
        There is no such thing, it is of no known kind, or it is empty; no array is named, or one that is not there.
    """
    if path.is_dir():
        found = find_images(path)
        if found.passed_over:
            to_stderr(f"{path}: {len(found.files):,} images; passed over: {said_of(found.passed_over)}")
        return Input(path, files=list(found.files.values()), names=list(found.files))
    file, name = _named(path)
    suffix = file.suffix.lower()
    if suffix in SUFFIXES:
        return Input(path, _chosen(open_file(file), name, file))
    if name is None and is_image(file):
        return Input(path, files=[path], names=[line_name(path.name, path)])
    raise InputError(
        f"{path}: expected a folder of images, an image ({', '.join(image_suffixes())}) or an array "
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
