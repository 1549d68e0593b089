"""Folders whose files are the parts of one data set, named by their files' names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.array_formats import format_of, open_file, suffix_of
from hashbench.data.readers.arrays.parquet import read_ids, read_neighbors
from hashbench.data.readers.arrays.stored_array import Contents, StoredArray, chained, sliced
from hashbench.errors import InputError

NAMES = {
    "database": ("database", "train", "base", "shuffle_train"),
    "query": ("query", "test"),
    "learn": ("learn",),
    "vectors": ("vectors", "embeddings"),
}
"""What each part may be called: hashbench's word, then those of ann-benchmarks, of .fvecs files and VectorDBBench's."""
VECTORS = {name for names in NAMES.values() for name in names}
SHARD = re.compile(r"(?P<part>\w+)-(?P<number>\d{2,5})-of-(?P<count>\d{2,5})(-[0-9a-f]{16})?")
"""What the packages ``datasets`` and VectorDBBench call the files of a part; ``datasets`` once added a hash."""
NEIGHBORS = {"groundtruth": "neighbors", "neighbors": "neighbors", "gt": "neighbors"}
Shards = tuple[str, list[Path]]


def open_folder(folder: Path, expected: str) -> tuple[Path, Contents]:
    """Open the files of a folder whose names are known; a folder with just one file stands for it.

    A ``.npy`` or ``.parquet`` file has the name of a part (or of its labels, or ``neighbors``), several parquet files
    that ``datasets`` wrote have its name and their numbers. Of binary files the name's last word counts, as in
    ``sift_base.fvecs``, or its first, as in ``base.10M.u8bin``; their true neighbours are called ``groundtruth`` or
    ``gt``, or have no suffix and the size of big-ann-benchmarks' files.

    Parameters
    ----------
    folder : Path
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
    named = list(_named_files(folder))
    for name, files in named:
        by_id = name == "neighbors" and files[0].suffix == ".parquet"
        own, kind = _neighbors_by_id(files[0], dict(named)) if by_id else _opened(files, folder)
        kinds.add(kind)
        for what, stored in own.items():
            full_name = name if what == "vectors" else f"{name}_labels"
            if full_name in arrays:
                raise InputError(f"{stored.shown_as} and {arrays[full_name].shown_as} are both {full_name}: remove one")
            arrays[full_name] = stored
    if arrays:
        return folder, Contents(f"folder of {' and '.join(sorted(kinds))}", _all_in_one(arrays, folder), {})
    known = [file for file in folder.iterdir() if format_of(file) is not None]
    plain = [file for file in known if not _is_text(file)] or known
    if len(plain) == 1:
        return plain[0], open_file(plain[0])
    suffixes = ", ".join((".npy", ".parquet", *row_files.SUFFIXES))
    raise InputError(f"{folder} holds no vectors that hashbench knows: expected {expected}, as files of {suffixes}")


def _is_text(file: Path) -> bool:
    known = format_of(file)
    return known is not None and known.is_text


def part_of(file: Path) -> str:
    """Return which part a file is, by its name: ``train`` of ``train-00000-of-00002.parquet`` and ``train.parquet``."""
    shard = SHARD.fullmatch(file.stem)
    return shard["part"] if shard else file.stem.partition("-")[0]


def refuse_missing_shards(files: Sequence[Path]) -> None:
    """Raise if there are fewer files of a part than their names say.

    Raises
    ------
    InputError
        There are fewer.
    """
    shard = SHARD.fullmatch(files[0].stem)
    if shard is not None and len(files) != int(shard["count"]):
        raise InputError(
            f"{files[0].parent} has {len(files)} of the {int(shard['count'])} files {shard['part']}-*: fetch it again"
        )


def _named_files(folder: Path) -> Iterator[Shards]:
    """Yield what each file is, and the file, or the files that are it together."""
    known = {*VECTORS, "labels", *(f"{name}_labels" for name in VECTORS), "neighbors"}
    shards: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        suffix, shard = suffix_of(file), SHARD.fullmatch(file.stem)
        if suffix in row_files.SUFFIXES:
            word = file.stem.rpartition("_")[2].partition(".")[0].lower()
            if word in known or word in NEIGHBORS:
                yield NEIGHBORS.get(word, word), [file]
        elif suffix == ".parquet" and shard and shard["part"] in VECTORS:
            shards.setdefault(shard["part"], []).append(file)
        elif file.suffix in (".npy", ".parquet") and file.stem in known:
            yield file.stem, [file]
        elif not file.suffix and file.is_file() and row_files.is_ground_truth(file):
            yield "neighbors", [file]
    yield from shards.items()


def _neighbors_by_id(file: Path, files: dict[str, list[Path]]) -> tuple[dict[str, StoredArray], str]:
    """Return the neighbours of a parquet file as rows of the database; they may be named by the rows' column ``id``."""
    neighbors, asked = read_neighbors(file), read_ids(file)
    database, query = (_ids_of(names, files) for names in (NAMES["database"], NAMES["query"]))
    if database is not None:
        neighbors = _rows_of_ids(neighbors.ravel(), database, file).reshape(neighbors.shape)
    if query is not None and asked is not None:
        neighbors = neighbors[_rows_of_ids(query, asked, file)]
    return {"vectors": sliced(str(file), neighbors)}, "parquet"


def _ids_of(names: Sequence[str], files: dict[str, list[Path]]) -> np.ndarray | None:
    ids = [read_ids(file) for name in names for file in files.get(name, [])]
    return (
        np.concatenate([one for one in ids if one is not None]) if ids and all(one is not None for one in ids) else None
    )


def _rows_of_ids(wanted: np.ndarray, ids: np.ndarray, file: Path) -> np.ndarray:
    """Return where ids stand among others."""
    order = np.argsort(ids, kind="stable")
    at = order[np.searchsorted(ids, wanted, sorter=order).clip(0, len(ids) - 1)]
    missing = ids[at] != wanted
    if missing.any():
        raise InputError(f"{file}: the id {wanted[np.argmax(missing)]} is that of no row; delete it, or mend the ids")
    return at


def _opened(files: list[Path], folder: Path) -> tuple[dict[str, StoredArray], str]:
    """Return vectors and perhaps labels, of one file or of the files of a part, and what kind of file it is."""
    contents = [open_file(file) if file.suffix else _ground_truth(file) for file in files]
    for file, one in zip(files, contents, strict=True):
        if set(one.arrays) - {"vectors", "labels"}:
            raise InputError(f"{file} has a column part: give this file as --data-dir, or one file per part")
    shard = SHARD.fullmatch(files[0].stem)
    if shard is None:
        return contents[0].arrays, contents[0].kind
    refuse_missing_shards(files)
    names = {name for one in contents for name in one.arrays}
    for file, one in zip(files, contents, strict=True):
        for name in names - set(one.arrays):
            raise InputError(f"{file} has no {name}, another file of its part has: expected the same columns")
    shown_as = str(folder / f"{shard['part']}-*.parquet")
    return {name: chained(shown_as, [one.arrays[name] for one in contents]) for name in names}, contents[0].kind


def _ground_truth(file: Path) -> Contents:
    """Return the true neighbours in a file of big-ann-benchmarks, which has no suffix."""
    return Contents("true neighbours", {"vectors": row_files.open_rows(file, ".ibin")}, {})


def _all_in_one(arrays: dict[str, StoredArray], folder: Path) -> dict[str, StoredArray]:
    """Return ``datasets``' only part, which it calls train whatever it is for, as vectors of which none is named."""
    alone = set(arrays) <= {"train", "train_labels"} and any(folder.glob("train-*-of-*.parquet"))
    names = {"train": "vectors", "train_labels": "labels"} if alone else {}
    return {names.get(name, name): stored for name, stored in arrays.items()}
