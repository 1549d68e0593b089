"""Folders whose files are the parts of one data set, named by their files' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.array_formats import SUFFIXES, Contents, open_file
from hashbench.data.readers.arrays.stored_array import StoredArray, chained
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.names import is_label_array
from hashbench.data.readers.shards import refuse_incomplete
from hashbench.errors import InputError

SHARD = re.compile(r"(?P<part>\w+)-(?P<number>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]{16})?")
"""What the package ``datasets`` calls the files of a part; its older versions added a hash."""
NEIGHBORS = {"groundtruth": "neighbors", "neighbors": "neighbors"}
Shards = tuple[str, list[Path]]
Held = TypeVar("Held")


def open_folder(
    folder: Path, vectors: Collection[str], expected: str, label: str | None = None
) -> tuple[Path, Contents]:
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
    label : str, optional
        The column of labels, where it has another than a usual name; ``none`` where none is to be read.

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
    labels: dict[str, list[LabelColumn]] = {}
    kinds: set[str] = set()
    columns: dict[str, None] = {}
    used: set[Path] = set()
    for name, files in _named_files(folder, vectors):
        own = _opened(files, folder, label)
        kinds.add(own.kind)
        used.update(files)
        columns |= dict.fromkeys(own.passed_over)
        stored = own.arrays["vectors"]
        if name in arrays:
            raise InputError(f"{stored.shown_as} and {arrays[name].shown_as} are both {name}: remove one")
        arrays[name] = stored
        labels |= {name: own.labels["vectors"]} if own.labels else {}
    if arrays:
        kind = f"folder of {' and '.join(sorted(kinds))}"
        others = [*columns, *_others(folder, used)]
        return folder, Contents(kind, _all_in_one(arrays, folder), {}, _all_in_one(labels, folder), others)
    files = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    if len(files) == 1:
        contents = open_file(files[0], label)
        return files[0], replace(contents, passed_over=[*contents.passed_over, *_others(folder, set(files))])
    known = ", ".join((".npy", ".parquet", *row_files.SUFFIXES))
    raise InputError(f"{folder} holds no vectors that hashbench knows: expected {expected}, as files of {known}")


def _others(folder: Path, used: set[Path]) -> list[str]:
    """Return what else can be seen in a folder."""
    return sorted(path.name for path in folder.iterdir() if path not in used and not path.name.startswith("."))


def _named_files(folder: Path, vectors: Collection[str]) -> Iterator[Shards]:
    """Yield what each file is, and the file, or the files that are it together."""
    known = {*vectors, "neighbors"}
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
        elif suffix in (".npy", ".parquet") and _is_known(file, known, vectors):
            yield stem, [file]
    yield from shards.items()


def _is_known(file: Path, known: Collection[str], vectors: Collection[str]) -> bool:
    """Return whether a file's name says a part, neighbours, or, of an array, labels."""
    return file.stem.casefold() in known or (
        file.suffix.lower() == ".npy" and is_label_array(file.stem, {"part": list(vectors)})
    )


def _opened(files: list[Path], folder: Path, label: str | None) -> Contents:
    """Return vectors and perhaps labels, of one file or of the files of a part."""
    contents = [open_file(file, label) for file in files]
    for file, one in zip(files, contents, strict=True):
        if set(one.arrays) - {"vectors"}:
            raise InputError(f"{file} has a column part: give this file as --data-dir, or one file per part")
    shard = SHARD.fullmatch(files[0].stem)
    if shard is None:
        return contents[0]
    refuse_incomplete(files)
    for file, one in zip(files, contents, strict=True):
        if any(other.labels for other in contents) and not one.labels:
            raise InputError(f"{file} has no labels, another file of its part has: expected the same columns")
    shown_as = str(folder / f"{shard['part']}-*.parquet")
    vectors = chained(shown_as, [one.arrays["vectors"] for one in contents])
    labels = [column for one in contents for column in one.labels.get("vectors", [])]
    return replace(contents[0], arrays={"vectors": vectors}, labels={"vectors": labels} if labels else {})


def _all_in_one(by_part: dict[str, Held], folder: Path) -> dict[str, Held]:
    """Return ``datasets``' only part, which it calls train whatever it is for, as vectors of which none is named."""
    alone = set(by_part) <= {"train", "train_labels"} and any(folder.glob("train-*-of-*.parquet"))
    names = {"train": "vectors", "train_labels": "labels"} if alone else {}
    return {names.get(name, name): held for name, held in by_part.items()}
