"""Folders whose files are the parts of one data set, named by their files' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.array_formats import SUFFIXES, Contents, open_file
from hashbench.data.readers.arrays.stored_array import StoredArray, chained
from hashbench.data.readers.shards import refuse_incomplete
from hashbench.errors import InputError

SHARD = re.compile(r"(?P<part>\w+)-(?P<number>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]{16})?")
"""What the package ``datasets`` calls the files of a part; its older versions added a hash."""
NEIGHBORS = {"groundtruth": "neighbors", "neighbors": "neighbors"}
Shards = tuple[str, list[Path]]


def open_folder(folder: Path, vectors: Collection[str], expected: str) -> tuple[Path, Contents]:
    """Open the files of a folder whose names are known; a folder with just one file stands for it.

    A ``.npy`` or ``.parquet`` file has the name of a part (or of its labels, or ``neighbors``), several parquet files
    that ``datasets`` wrote have its name and their numbers. Of binary files the name's last word counts, as in
    ``sift_base.fvecs``, or its first, as in ``base.10M.u8bin``; their true neighbours are called ``groundtruth``.

    Parameters
    ----------
    folder : Path
    vectors : collection of str
        What parts may be called.
    expected : str
        What the folder is to hold, for a message.

    Returns
    -------
    path : Path
        The folder, or the one file in it.
    contents : Contents

    Raises
    ------
    InputError
        Nothing in it is known, a file is damaged, or two files are the same part.
    """
    arrays: dict[str, StoredArray] = {}
    kinds: set[str] = set()
    for name, files in _named_files(folder, vectors):
        own, kind = _opened(files, folder)
        kinds.add(kind)
        for what, stored in own.items():
            full_name = name if what == "vectors" else f"{name}_labels"
            if full_name in arrays:
                raise InputError(f"{stored.shown_as} and {arrays[full_name].shown_as} are both {full_name}: remove one")
            arrays[full_name] = stored
    if arrays:
        return folder, Contents(f"folder of {' and '.join(sorted(kinds))}", _all_in_one(arrays, folder), {})
    files = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    if len(files) == 1:
        return files[0], open_file(files[0])
    known = ", ".join((".npy", ".parquet", *row_files.SUFFIXES))
    raise InputError(f"{folder} holds no vectors that hashbench knows: expected {expected}, as files of {known}")


def _named_files(folder: Path, vectors: Collection[str]) -> Iterator[Shards]:
    """Yield what each file is, and the file, or the files that are it together."""
    known = {*vectors, "labels", *(f"{name}_labels" for name in vectors), "neighbors"}
    shards: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        suffix, shard = file.suffix.lower(), SHARD.fullmatch(file.stem)
        stem = file.stem.casefold()
        if suffix in row_files.SUFFIXES:
            word = stem.rpartition("_")[2].partition(".")[0]
            if word in known or word in NEIGHBORS:
                yield NEIGHBORS.get(word, word), [file]
        elif suffix == ".parquet" and shard and shard["part"].casefold() in vectors:
            shards.setdefault(shard["part"].casefold(), []).append(file)
        elif suffix in (".npy", ".parquet") and stem in known:
            yield stem, [file]
    yield from shards.items()


def _opened(files: list[Path], folder: Path) -> tuple[dict[str, StoredArray], str]:
    """Return vectors and perhaps labels, of one file or of the files of a part, and what kind of file it is."""
    contents = [open_file(file) for file in files]
    for file, one in zip(files, contents, strict=True):
        if set(one.arrays) - {"vectors", "labels"}:
            raise InputError(f"{file} has a column part: give this file as --data-dir, or one file per part")
    shard = SHARD.fullmatch(files[0].stem)
    if shard is None:
        return contents[0].arrays, contents[0].kind
    refuse_incomplete(files)
    names = {name for one in contents for name in one.arrays}
    for file, one in zip(files, contents, strict=True):
        for name in names - set(one.arrays):
            raise InputError(f"{file} has no {name}, another file of its part has: expected the same columns")
    shown_as = str(folder / f"{shard['part']}-*.parquet")
    return {name: chained(shown_as, [one.arrays[name] for one in contents]) for name in names}, contents[0].kind


def _all_in_one(arrays: dict[str, StoredArray], folder: Path) -> dict[str, StoredArray]:
    """Return ``datasets``' only part, which it calls train whatever it is for, as vectors of which none is named."""
    alone = set(arrays) <= {"train", "train_labels"} and any(folder.glob("train-*-of-*.parquet"))
    names = {"train": "vectors", "train_labels": "labels"} if alone else {}
    return {names.get(name, name): stored for name, stored in arrays.items()}
