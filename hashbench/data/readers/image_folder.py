"""Folders of image files: which files in them are images, and what is passed over."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hashbench.data.decoding import FORMATS
from hashbench.errors import InputError
from hashbench.files.paths import is_line, is_there, walk

OTHER_SUFFIXES = (".pjp", ".pjpeg")
"""What browsers also call JPEG files; Pillow's list lacks them."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
"""What JPEG, PNG and GIF files begin with, whatever their names; and WebP, see `_begins_as_image`."""
NO_PHOTOGRAPHS = ("@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin")
"""Folders of thumbnails, shadows and deleted files that storage devices and archives add, in lower case."""


@functools.cache
def image_suffixes() -> tuple[str, ...]:
    """Return what the names of image files end in: Pillow's list for the formats that are read, and a few more."""
    from PIL import Image

    Image.init()
    known = [suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS]
    return tuple(sorted((*known, *OTHER_SUFFIXES)))


@dataclass(frozen=True)
class FoundImages:
    """The images in a folder and in those below it.

    Attributes
    ----------
    files : dict from str to Path
        By their paths relative to the folder, in the order of these.
    passed_over : Counter of str
        How many files of which kind were not taken: ``.txt``, or the name of a folder such as ``@eaDir``.
    """

    files: dict[str, Path]
    passed_over: Counter[str] = field(default_factory=Counter)


def find_images(folder: Path) -> FoundImages:
    """Return the images in a folder and in those below it.

    A file is an image by its suffix, or else by how it begins. Hidden files and folders are passed over without
    a count, folders of thumbnails with one; links are followed. A link that leads nowhere is an image where it has an
    image's suffix: one that is missing.

    Raises
    ------
    InputError
        A folder cannot be read, a link leads nowhere and may have led to a folder, a name cannot be a line of text,
        or there is no image.
    """
    images: dict[str, Path] = {}
    passed_over: Counter[str] = Counter()
    for name, entry in walk(folder, _unreadable):
        shadows = [part for part in name.split("/")[:-1] if part.casefold() in NO_PHOTOGRAPHS]
        if shadows:
            passed_over[f"{shadows[0]}/"] += 1
        elif is_image(Path(entry.path)):
            images[name] = folder / name
        else:
            refuse_lost(folder / name)
            passed_over[Path(name).suffix.lower() or "no suffix"] += 1
    if not images:
        raise InputError(f"{folder} holds no images ({', '.join(image_suffixes())}){_seen(passed_over)}")
    return FoundImages({line_name(name, folder): images[name] for name in sorted(images)}, passed_over)


def _seen(passed_over: Counter[str]) -> str:
    return f"; passed over: {said_of(passed_over)}" if passed_over else ""


def said_of(passed_over: Counter[str]) -> str:
    """Return in words how many files of which kind were passed over, the commonest first.

    Examples
    --------
    >>> said_of(Counter({".txt": 2, "@eaDir/": 1}))
    '2 files .txt, 1 file in @eaDir/'
    """
    return ", ".join(
        f"{n:,} file{'s' * (n > 1)} {'in ' * kind.endswith('/')}{'with ' * (kind == 'no suffix')}{kind}"
        for kind, n in passed_over.most_common()
    )


def is_image(file: Path) -> bool:
    """Return whether a file is an image, by its suffix, or else by how it begins."""
    return file.suffix.lower() in image_suffixes() or _begins_as_image(file)


def _begins_as_image(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return False
    return start.startswith(BEGINNINGS) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder that may hold images, sorted; hidden ones are passed over.

    Raises
    ------
    InputError
        The folder cannot be read, or a link in it leads nowhere and may have led to a folder.
    """
    try:
        visible = [Path(entry) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        _unreadable(str(folder), error)
    return sorted(_folders_among(visible))


def _folders_among(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        if path.is_dir():
            if path.name.casefold() not in NO_PHOTOGRAPHS:
                yield path.name
        elif path.suffix.lower() not in image_suffixes():
            refuse_lost(path)


def line_name(name: str, where: Path) -> str:
    """Return a file's name if it can be a line of a text file.

    Raises
    ------
    InputError
        The name holds control characters or broken UTF-8.
    """
    if not is_line(name):
        raise InputError(f"{where}: the file name {name!r} holds control characters or is not UTF-8; rename it")
    return name


def refuse_lost(path: Path) -> None:
    """Raise for a link that leads nowhere or to itself, where it may have led to a folder of images.

    Raises
    ------
    InputError
        The path is a link that leads nowhere or to itself.
    """
    if path.is_symlink() and not is_there(path):
        raise InputError(f"{path} is a link that leads nowhere or to itself; mend or remove it")


def _unreadable(folder: str, error: OSError) -> None:
    raise InputError(f"{folder} cannot be read ({error.strerror})") from error
