"""Folders whose files are the parts of one data set; the file names say which part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.array_formats import (
    SUFFIXES_OF_PARTS,
    format_of,
    open_file,
    stem_and_suffix,
    suffix_of,
)
from hashbench.data.readers.arrays.parquet import read_ids, read_neighbors
from hashbench.data.readers.arrays.stored_array import Contents, StoredArray, chained, sliced
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.data.readers.labels.find_labels import is_label_array
from hashbench.data.readers.parts import DATABASE, PARTS, QUERY, TRAIN
from hashbench.data.readers.shards import refuse_incomplete, shard_of
from hashbench.errors import InputError

NAMES = {
    "database": (*PARTS[DATABASE], *PARTS[TRAIN], "shuffle_train"),  # the last is VectorDBBench's
    "query": PARTS[QUERY],
    "learn": ("learn",),
    "vectors": ("vectors", "embeddings"),
}
"""Names of each part, in lower case; training vectors are the database, as in ann-benchmarks' files."""
VECTORS = {name for names in NAMES.values() for name in names}
NEIGHBORS = {"groundtruth": "neighbors", "neighbors": "neighbors", "gt": "neighbors"}
Shards = tuple[str, list[Path]]
Held = TypeVar("Held")


def open_folder(folder: Path, expected: str, label: str | None = None) -> tuple[Path, Contents]:
    """Open the files of a folder whose names are known; a folder with just one file counts as that file.

    A format says in `Format.named_by` what names a part. A ``.npy`` or ``.parquet`` file has the name of a part (or of
    its labels, or ``neighbors``); several parquet files that ``datasets`` wrote have its name and their numbers. Of
    binary files the name's last word counts, as in ``sift_base.fvecs``, or its first, as in ``base.10M.u8bin``. Their
    true neighbours are called ``groundtruth`` or ``gt``, or have no suffix and the size of big-ann-benchmarks' files.

    Parameters
    ----------
    folder : Path
    expected : str
        What the folder should contain, for error messages.
    label : str, optional
        The column of labels, if it has an unusual name; ``none`` to read no labels.

    Returns
    -------
    path : Path
        The folder, or the one file in it.
    contents : Contents

    Raises
    ------
    InputError
        No file in the folder has a known name, a file is damaged, or two files hold the same part.
    """
    named = list(_named_files(folder))
    if named:
        return folder, _parts_in(folder, named, label)
    known = [file for file in _visible(folder) if format_of(file) is not None]
    plain = [file for file in known if not _is_text(file)] or known
    if len(plain) == 1:
        contents = open_file(plain[0], label)
        return plain[0], replace(contents, passed_over=[*contents.passed_over, *_others(folder, set(plain))])
    suffixes = ", ".join(SUFFIXES_OF_PARTS)
    raise InputError(f"{folder} holds no vectors that hashbench knows: expected {expected}, as files of {suffixes}")


def _parts_in(folder: Path, named: list[Shards], label: str | None) -> Contents:
    """Return the contents of the files that are parts or neighbours."""
    arrays: dict[str, StoredArray] = {}
    labels: dict[str, list[LabelColumn]] = {}
    kinds: set[str] = set()
    columns: dict[str, None] = {}
    ids: set[str] = set()
    for name, files in named:
        by_id = name == "neighbors" and suffix_of(files[0]) == ".parquet"
        own = _neighbors_by_id(files[0], dict(named)) if by_id else _opened(files, folder, label)
        ids |= {"id"} if by_id else set()
        kinds.add(own.kind)
        columns |= dict.fromkeys(own.passed_over)
        stored = own.arrays["vectors"]
        if name in arrays:
            raise InputError(f"{stored.shown_as} and {arrays[name].shown_as} are both {name}: remove one")
        arrays[name] = stored
        labels |= {name: own.labels["vectors"]} if own.labels else {}
    kind = f"folder of {' and '.join(sorted(kinds))}"
    others = [
        *(name for name in columns if name not in ids),
        *_others(folder, {file for _, files in named for file in files}),
    ]
    return Contents(kind, _all_in_one(arrays, folder), {}, _all_in_one(labels, folder), others)


def _is_text(file: Path) -> bool:
    known = format_of(file)
    return known is not None and known.is_text


def _others(folder: Path, used: set[Path]) -> list[str]:
    """Return the other visible files of a folder."""
    return sorted(path.name for path in _visible(folder) if path not in used)


def _visible(folder: Path) -> list[Path]:
    """Return the files of a folder that are not hidden: macOS writes ``._base.fvecs`` next to ``base.fvecs``."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _named_files(folder: Path) -> Iterator[Shards]:
    """Yield the name of each part, and the file or files that contain it."""
    known = {*VECTORS, "neighbors"}
    shards: dict[str, list[Path]] = {}
    for file in sorted(_visible(folder)):
        form, shard, (name, suffix) = format_of(file), shard_of(file), stem_and_suffix(file)
        stem = name.casefold()
        if form is None:
            if not file.suffix and file.is_file() and row_files.is_ground_truth(file):
                yield "neighbors", [file]
        elif form.named_by == "word":
            word = stem.rpartition("_")[2].partition(".")[0]
            if word in known or word in NEIGHBORS:
                yield NEIGHBORS.get(word, word), [file]
        elif suffix == ".parquet" and shard.count is not None and shard.name.casefold() in VECTORS:
            shards.setdefault(shard.name.casefold(), []).append(file)
        elif form.named_by == "stem" and (stem in known or (not form.has_columns and _holds_labels(name))):
            yield stem, [file]
    yield from shards.items()


def _holds_labels(stem: str) -> bool:
    """Return whether a file with one array contains labels, by its name."""
    return is_label_array(stem, {"part": list(VECTORS)})


def _neighbors_by_id(file: Path, files: dict[str, list[Path]]) -> Contents:
    """Return the neighbours of a parquet file as rows of the database; they may be named by the rows' column ``id``."""
    neighbors, asked = read_neighbors(file), read_ids(file)
    database, query = (_ids_of(names, files) for names in (NAMES["database"], NAMES["query"]))
    if database is not None:
        neighbors = _rows_of_ids(neighbors.ravel(), database, file).reshape(neighbors.shape)
    if query is not None and asked is not None:
        neighbors = neighbors[_rows_of_ids(query, asked, file)]
    return Contents("parquet", {"vectors": sliced(str(file), neighbors)}, {})


def _ids_of(names: Sequence[str], files: dict[str, list[Path]]) -> np.ndarray | None:
    ids = [read_ids(file) for name in names for file in files.get(name, [])]
    return (
        np.concatenate([one for one in ids if one is not None]) if ids and all(one is not None for one in ids) else None
    )


def _rows_of_ids(wanted: np.ndarray, ids: np.ndarray, file: Path) -> np.ndarray:
    """Return the positions of ids among others."""
    order = np.argsort(ids, kind="stable")
    at = order[np.searchsorted(ids, wanted, sorter=order).clip(0, len(ids) - 1)]
    missing = ids[at] != wanted
    if missing.any():
        raise InputError(f"{file}: the id {wanted[np.argmax(missing)]} is that of no row; delete it, or mend the ids")
    return at


def _opened(files: list[Path], folder: Path, label: str | None) -> Contents:
    """Return vectors and perhaps labels, of one file or of the files of a part."""
    contents = [open_file(file, label) if file.suffix else _ground_truth(file) for file in files]
    for file, one in zip(files, contents, strict=True):
        if set(one.arrays) - {"vectors"}:
            raise InputError(f"{file} has a column part: give this file as --data-dir, or one file per part")
    shard = shard_of(files[0])
    if shard.count is None:
        return contents[0]
    refuse_incomplete(files)
    for file, one in zip(files, contents, strict=True):
        if any(other.labels for other in contents) and not one.labels:
            raise InputError(f"{file} has no labels, another file of its part has: expected the same columns")
    vectors = chained(str(folder / f"{shard.name}-*.parquet"), [one.arrays["vectors"] for one in contents])
    labels = [column for one in contents for column in one.labels.get("vectors", [])]
    return replace(contents[0], arrays={"vectors": vectors}, labels={"vectors": labels} if labels else {})


def _ground_truth(file: Path) -> Contents:
    """Return the true neighbours in a file of big-ann-benchmarks, which has no suffix."""
    return Contents("true neighbours", {"vectors": row_files.open_rows(file, ".ibin")}, {})


def _all_in_one(by_part: dict[str, Held], folder: Path) -> dict[str, Held]:
    """Return the only part that ``datasets`` wrote, always named train, as vectors without a named part."""
    alone = set(by_part) <= {"train", "train_labels"} and any(folder.glob("train-*-of-*.parquet"))
    names = {"train": "vectors", "train_labels": "labels"} if alone else {}
    return {names.get(name, name): held for name, held in by_part.items()}
