"""Folders of image files."""

from __future__ import annotations

from pathlib import Path

from hashbench.errors import InputError
from hashbench.files.paths import is_line, is_there, walk

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def list_folder(folder: Path) -> dict[str, Path]:
    """Return the images in a folder and in those below it, by their relative paths, in the order of these.

    Images are told by their suffix; hidden files and folders are passed over, links are followed. A link that leads
    nowhere is an image where it has an image's suffix: one that is missing.

    Raises
    ------
    InputError
        A folder cannot be read, a link leads nowhere and may have led to a folder, a name cannot be a line of text,
        or there is no image.
    """
    images = {
        name: folder / name
        for name, entry in walk(folder, _unreadable)
        if Path(name).suffix.lower() in IMAGE_SUFFIXES or refuse_lost(folder / name)
    }
    if not images:
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return {line_name(name, folder): images[name] for name in sorted(images)}


def line_name(name: str, where: Path) -> str:
    """Return a file's name if it can be a line of a text file.

    Raises
    ------
    InputError
        It holds control characters or broken UTF-8.
    """
    if not is_line(name):
        raise InputError(f"{where}: the file name {name!r} holds control characters or is not UTF-8; rename it")
    return name


def refuse_lost(path: Path) -> bool:
    """Raise for a link that leads nowhere or to itself, where it may have led to a folder of images.

    Returns
    -------
    bool
        False: it is no such link.

    Raises
    ------
    InputError
        It is one.
    """
    if path.is_symlink() and not is_there(path):
        raise InputError(f"{path} is a link that leads nowhere or to itself; mend or remove it")
    return False


def _unreadable(folder: str, error: OSError) -> None:
    raise InputError(f"{folder} cannot be read ({error.strerror})") from error
