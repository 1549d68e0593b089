"""Folders of image files: which files in them are images, and what is passed over."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hashbench.data.decoding import FORMATS
from hashbench.data.readers.files_passed_over import (
    HIDDEN,
    HIDDEN_IMAGE,
    NO_SUFFIX,
    UNNAMED_IMAGE,
    hidden_in,
    hidden_kind,
    said_of,
)
from hashbench.data.readers.match_names import normal
from hashbench.errors import InputError
from hashbench.files.paths import is_line, is_there, walk

OTHER_SUFFIXES = (".pjp", ".pjpeg")
"""What browsers also call JPEG files; Pillow's list lacks them."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
"""First bytes of JPEG, PNG and GIF files; for WebP see `_begins_as_image`."""
NO_PHOTOGRAPHS = ("@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin")
"""Folders of thumbnails, shadows and deleted files that storage devices and archives add, in lower case."""


@functools.cache
def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of image files: Pillow's list for the formats that are read, and a few more."""
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
        How many files of which kind were not taken, as `hashbench.data.readers.files_passed_over` calls the kinds.
    """

    files: dict[str, Path]
    passed_over: Counter[str] = field(default_factory=Counter)


def find_images(folder: Path) -> FoundImages:
    """Return the images in a folder and in those below it.

    A file is an image by its suffix, or else by how it begins. Hidden files and folders, and folders of thumbnails, are
    skipped and counted; links are followed. A broken link with an image's suffix counts as a missing image.

    Raises
    ------
    InputError
        A folder cannot be read, a link leads nowhere and may have led to a folder, a name cannot be a line of text,
        or there is no image.
    """
    images: dict[str, Path] = {}
    passed_over: Counter[str] = Counter()
    for name, file in _files_below(folder, passed_over, _unreadable):
        if is_image(file):
            images[name] = file
        else:
            refuse_lost(file)
            passed_over[_suffix(file)] += 1
    if not images:
        raise InputError(f"{folder} holds no images ({', '.join(image_suffixes())}){_seen(passed_over)}")
    return FoundImages({line_name(name, folder): images[name] for name in sorted(images)}, passed_over)


def beside_table(table: Path, named: Collection[str]) -> Counter[str]:
    """Return the files of a folder other than its table and the files that the table names, counted by kind.

    Folders that cannot be read are passed over.

    Parameters
    ----------
    table : Path
        In the folder that it is about.
    named : collection of str
        Paths in the table, relative to the folder, as `hashbench.data.readers.match_names.normal` returns them.
    """
    kinds: Counter[str] = Counter()
    for name, file in _files_below(table.parent, kinds, lambda folder, error: None, named):
        if file != table and normal(name) not in named:
            kinds[UNNAMED_IMAGE if is_image(file) else _suffix(file)] += 1
    return kinds


def hidden_files_in(folder: Path) -> Counter[str]:
    """Return the kinds of the hidden files in a folder and in its hidden folders; other folders are not looked into."""
    return hidden_in(folder, _hidden_kind)


def _files_below(
    folder: Path, kinds: Counter[str], unreadable: Callable[[str, OSError], object], named: Collection[str] = ()
) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the files that may be images; count the kinds of those that are hidden or thumbnails."""

    def count_hidden(name: str, file: Path) -> None:
        if normal(name) not in named:
            kinds[_hidden_kind(name, file)] += 1

    for name, _ in walk(folder, unreadable, hidden=count_hidden):
        shadows = [part for part in name.split("/")[:-1] if part.casefold() in NO_PHOTOGRAPHS]
        if shadows and normal(name) not in named:
            kinds[f"{shadows[0]}/"] += 1
        else:
            yield name, folder / name


def _hidden_kind(name: str, file: Path) -> str:
    """Return the kind of a hidden file; what macOS keeps next to a file has that file's suffix, and is no image."""
    kind = hidden_kind(name)
    if kind != HIDDEN:
        return kind
    named = not file.name.startswith("._") and file.suffix.lower() in image_suffixes()
    return HIDDEN_IMAGE if named or _begins_as_image(file) else HIDDEN


def _suffix(file: Path) -> str:
    return file.suffix.lower() or NO_SUFFIX


def _seen(passed_over: Counter[str]) -> str:
    return f"; passed over: {said_of(passed_over)}" if passed_over else ""


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


def line_name(name: str, where: object) -> str:
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
