"""Folders whose names are classes, with or without the folders of parts above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from hashbench.data.readers.image_folder import FoundImages, find_images, subfolders
from hashbench.data.readers.parts import EXPECTED, Arrangement, arranged, part_of, parts_in
from hashbench.errors import InputError

TABLE = "give a table of paths and labels (docs/datasets.md)"

FEW = 100
"""Number of folders of folders up to which all pairs are compared; with more, only equal ones are found."""


def part_folders(folder: Path) -> Arrangement | None:
    """Return what the folders in a folder are used for, where their names are those of parts; None where they are not.

    A single folder with the name of a part, among others, is a class: a train is also a thing.

    Raises
    ------
    InputError
        Some folders are named as parts and others are not, or the parts do not go together.
    """
    below = subfolders(folder)
    named = {name: part for name in below if (part := part_of(name))}
    if len(named) < 2:
        named = parts_in(below)
    if len(named) < 2:
        return None
    others = [name for name in below if name not in named and _holds_images(folder / name)]
    if others:
        raise InputError(
            f"{folder} has the folders {', '.join(sorted([*named, *others]))}: {' and '.join(named)} are parts, with "
            f"nothing beside them ({EXPECTED}); move {others[0]} away, or {TABLE} if they are classes"
        )
    return arranged(named, folder)


def _holds_images(folder: Path) -> bool:
    try:
        return bool(find_images(folder).files)
    except InputError:
        return False


def class_images(folder: Path) -> FoundImages:
    """Return the images below a folder; their relative paths all begin with the name of a class.

    Raises
    ------
    InputError
        An image is in no class folder, a class folder holds no image, or the folders can also be read as something
        else than classes: parts, or a copy of the folder in itself.
    """
    found = find_images(folder)
    loose = [name for name in found.files if "/" not in name]
    if loose:
        raise InputError(
            f"{folder}: {loose[0]} and {len(loose) - 1} more images lie in no class folder; move them, or {TABLE}"
        )
    below = _folders_of(found)
    without = set(subfolders(folder)) - set(below)
    if without:
        raise InputError(f"{folder}/{min(without)} holds no images; fill or remove it")
    _refuse_hidden_classes(folder, below)
    return found


def _folders_of(found: FoundImages) -> dict[str, set[str]]:
    """Return, for each class, the folders of its images; ``""`` if they are directly in the class's folder."""
    below: dict[str, set[str]] = {}
    for name in found.files:
        own, _, rest = name.partition("/")
        below.setdefault(own, set()).add(rest.partition("/")[0] if "/" in rest else "")
    return below


def _refuse_hidden_classes(folder: Path, below: dict[str, set[str]]) -> None:
    """Raise if the classes may be a level further down: two folders of the same folders, or one that holds all."""
    deep = {name: inside for name, inside in below.items() if "" not in inside and len(inside) > 1}
    for name, inside in deep.items():
        again = sorted(inside & set(below))
        if len(again) > 1:
            raise InputError(
                f"{folder}/{name} holds {_some(again)} again, which are beside it: a copy of the folder in itself, or "
                f"a class of that name? remove the copy, or {TABLE}"
            )
    for one, other in _alike(deep):
        raise InputError(
            f"{folder}: {one} and {other} hold the same folders, {_some(sorted(deep[one] & deep[other]))}: are {one} "
            f"and {other} parts, and those the classes, or are {one} and {other} classes? Call parts train and test; "
            f"{TABLE} if they are classes"
        )
    if len(below) == 1 and deep:
        name, inside = next(iter(deep.items()))
        raise InputError(
            f"{folder} holds one folder, {name}, with {_some(sorted(inside))} in it: are these the classes? give "
            f"{folder / name}, or move them up; one class {name!r} is none, all images would be alike"
        )


def _alike(deep: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield folders that hold the same folders, or one of which holds all that the other does."""
    pairs = combinations(deep, 2) if len(deep) <= FEW else ()
    yield from ((one, other) for one, other in pairs if deep[one] <= deep[other] or deep[other] <= deep[one])
    first: dict[frozenset[str], str] = {}
    for name, inside in deep.items():
        other = first.setdefault(frozenset(inside), name)
        if other != name:
            yield other, name


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
