"""Reads the user's own embeddings: which parts his files hold, and whether they fit together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.items import Items
from hashbench.data.readers.array_formats import SUFFIXES, Contents, open_file
from hashbench.data.readers.stored_array import StoredArray, refuse_too_large
from hashbench.errors import InputError
from hashbench.progress import progress

NAMES = {"database": ("database", "train"), "query": ("query", "test"), "learn": ("learn",), "vectors": ("vectors",)}
"""What each part may be called: hashbench's word, then that of ann-benchmarks, in which train is the database."""
LAYOUTS = (
    "vectors (of which queries are drawn), or database and query (in ann-benchmarks' words train and test), "
    "and optionally learn, neighbors, labels, database_labels, query_labels, learn_labels"
)
DISTANCES = {"euclidean": "euclidean", "l2": "euclidean", "angular": "angular", "cosine": "angular"}


def read_vectors(path: Path, n_neighbors: int) -> Items:
    """Read embeddings from a file or a folder.

    Rows stand in the order database, query, learn, whatever the file; values are converted to float32, so that the
    same vectors are the same items in every kind of file. One .npy file of float32 is memory-mapped, everything else
    is read in blocks into one array.

    Parameters
    ----------
    path : Path
        A ``.npy``, ``.npz``, ``.parquet`` or HDF5 file, or a folder with ``<name>.npy`` or ``<name>.parquet`` files;
        the names are those of `NAMES`.
    n_neighbors : int
        How many true neighbours are needed of each query, where the files hold any.

    Returns
    -------
    Items
        With ``parts`` where the files name them, and with labels or neighbours where they hold any.

    Raises
    ------
    InputError
        A file is missing or damaged, or its vectors, labels or neighbours are not usable.
    """
    path, contents = _open(path)
    parts = _parts(contents.arrays, path)
    for stored in parts.values():
        _check_vectors(stored)
    widths = {stored.shape[1]: stored for stored in parts.values()}
    if len(widths) > 1:
        first, second = list(widths.items())[:2]
        raise InputError(
            f"{second[1].shown_as} has vectors of {second[0]} values, {first[1].shown_as} of {first[0]}: expected the "
            "same"
        )
    sizes = {name: stored.shape[0] for name, stored in parts.items()}
    named = "vectors" not in parts
    neighbors = contents.arrays.get("neighbors")
    if neighbors is not None and not named:
        raise InputError(f"{neighbors.shown_as}: neighbours need a database and queries that the files name")
    return Items(
        features=_joined(list(parts.values()), path),
        labels=_joined_labels(contents.arrays, parts, path),
        parts=_rows(sizes) if named else {},
        neighbors=None if neighbors is None else _neighbors(neighbors, sizes["query"], sizes["database"], n_neighbors),
        distance=_distance(contents.attributes, neighbors is not None, path),
        provenance=f"own vectors, {contents.kind}",
    )


def _open(path: Path) -> tuple[Path, Contents]:
    """Open a file, or the files of a folder whose names are known; a folder with just one file stands for it."""
    if path.is_file():
        return path, open_file(path)
    if not path.is_dir():
        raise InputError(f"--data-dir {path}: no such file or folder")
    arrays: dict[str, StoredArray] = {}
    kinds: list[str] = []
    vectors = {name for names in NAMES.values() for name in names}
    labels = {"labels", *(f"{name}_labels" for name in vectors)}
    for file in sorted(path.iterdir()):
        if file.suffix not in (".npy", ".parquet") or file.stem not in vectors | labels | {"neighbors"}:
            continue
        contents = open_file(file)
        if set(contents.arrays) - {"vectors", "labels"}:
            raise InputError(f"{file} has a column part: give this file as --data-dir, or one file per part")
        for kind, stored in contents.arrays.items():
            name = file.stem if kind == "vectors" else f"{file.stem}_labels"
            if name in arrays:
                raise InputError(f"{stored.shown_as} and {arrays[name].shown_as} are both {name}: remove one")
            arrays[name] = stored
        kinds.append(contents.kind)
    if arrays:
        return path, Contents(f"folder of {' and '.join(sorted(set(kinds)))}", arrays, {})
    files = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    if len(files) == 1:
        return files[0], open_file(files[0])
    raise InputError(f"{path} holds no vectors that hashbench knows: expected {LAYOUTS}, as .npy or .parquet files")


def _parts(arrays: dict[str, StoredArray], path: Path) -> dict[str, StoredArray]:
    """Return the parts by hashbench's names: database and query, and learn if it is there; or vectors."""
    parts = {}
    for part, names in NAMES.items():
        given = [name for name in names if name in arrays]
        if len(given) > 1:
            raise InputError(
                f"{path} has both {given[0]} and {given[1]}, which are two names of one part: "
                "call training vectors learn"
            )
        if given:
            parts[part] = arrays[given[0]]
    if set(parts) not in ({"vectors"}, {"database", "query"}, {"database", "query", "learn"}):
        raise InputError(f"{path} has {', '.join(sorted(arrays)) or 'nothing'}; expected {LAYOUTS}")
    return parts


def _check_vectors(stored: StoredArray) -> None:
    if len(stored.shape) != 2 or 0 in stored.shape:
        raise InputError(f"{stored.shown_as} has shape {stored.shape}, expected (n, width) with at least one row")
    short = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2
    if stored.dtype.kind != "f" and not short:
        raise InputError(
            f"{stored.shown_as} is {stored.dtype}, expected floats or integers of 8 or 16 bits (such as SIFT's uint8)"
        )


def _rows(sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the rows of each part, the parts one after the other."""
    ends = np.cumsum(list(sizes.values()))
    return {name: np.arange(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def _joined(parts: Sequence[StoredArray], path: Path) -> np.ndarray:
    """Return the parts as one float32 array: the map of a file where that is all of it, else a copy in memory."""
    mapped = parts[0].mapped
    if len(parts) == 1 and mapped is not None and mapped.dtype == np.float32 and mapped.flags.c_contiguous:
        _check_values(parts[0])
        return mapped
    return _copied(parts, path)


def _check_values(stored: StoredArray) -> None:
    """Look at every value of an array that stays in its file."""
    with progress(f"reading {stored.shape[0]:,} vectors", stored.shape[0]) as bar:
        for rows, block in stored.blocks():
            _refuse_not_finite(stored, rows, block)
            bar.advance(len(block))


def _copied(parts: Sequence[StoredArray], path: Path) -> np.ndarray:
    """Return the parts one after the other; each value is looked at and copied once."""
    n, width = sum(stored.shape[0] for stored in parts), parts[0].shape[1]
    refuse_too_large(str(path), (n, width), np.dtype(np.float32))
    vectors, first = np.empty((n, width), np.float32), 0
    with progress(f"reading {n:,} vectors", n) as bar:
        for stored in parts:
            for rows, block in stored.blocks():
                own = vectors[first : first + len(block)]
                with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
                    own[:] = block
                _refuse_not_finite(stored, rows, own)
                first += len(block)
                bar.advance(len(block))
    return vectors


def _refuse_not_finite(stored: StoredArray, rows: np.ndarray, block: np.ndarray) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise InputError(f"{stored.shown_as}: row {rows[np.argmin(finite)]} holds NaN or infinite values")


def _joined_labels(arrays: dict[str, StoredArray], parts: dict[str, StoredArray], path: Path) -> np.ndarray | None:
    """Return the labels of all parts, in their order; None where there are none."""
    given_labels: dict[str, StoredArray] = {}
    for part in parts:
        names = [f"{name}_labels" for name in NAMES[part]] + ["labels"] * (part == "vectors")
        given = [name for name in names if name in arrays]
        if len(given) > 1:
            raise InputError(f"{path} has both {given[0]} and {given[1]}: remove one")
        if given:
            given_labels[part] = arrays[given[0]]
    if not given_labels:
        return None
    missing = [part for part in parts if part not in given_labels]
    if missing:
        raise InputError(
            f"{path} has labels of {', '.join(given_labels)}, but no {missing[0]}_labels: label every part or none"
        )
    labels = [_labels(given_labels[part], parts[part]) for part in parts]
    first = given_labels[next(iter(parts))]
    for part, own in zip(parts, labels, strict=True):
        if own.shape[1:] != labels[0].shape[1:]:
            raise InputError(f"{given_labels[part].shown_as} has shape {own.shape}, {first.shown_as} {labels[0].shape}")
        if part == "query" and own.ndim == 2 and not own.any(axis=1).all():
            row = int(np.argmin(own.any(axis=1)))
            raise InputError(
                f"{given_labels[part].shown_as}: row {row} has no label: nothing is relevant to this query"
            )
    joined = np.concatenate(labels)
    same = joined.all(axis=0) if joined.ndim == 2 else np.array([(joined == joined[0]).all()])
    if same.any():
        which = int(np.argmax(same)) if joined.ndim == 2 else int(joined[0])
        raise InputError(f"{first.shown_as}: every row has the label {which}: all would be alike; give others or none")
    return joined


def _labels(stored: StoredArray, vectors: StoredArray) -> np.ndarray:
    """Return labels as int64 classes (n,), or as a bool matrix (n, n_labels)."""
    if len(stored.shape) not in (1, 2) or stored.dtype.kind not in "iub":
        raise InputError(
            f"{stored.shown_as} is {stored.dtype} of shape {stored.shape}, expected whole numbers (n,), one class "
            "each, or a matrix (n, n_labels) of 0 and 1"
        )
    if stored.shape[0] != vectors.shape[0]:
        raise InputError(
            f"{stored.shown_as} has {stored.shape[0]} labels, {vectors.shown_as} {vectors.shape[0]} vectors"
        )
    labels = stored.read()
    if labels.ndim == 1:
        unusable = (labels < 0) | (labels > np.iinfo(np.int64).max) if labels.dtype.kind in "iu" else labels < 0
        if unusable.any():
            row = int(np.argmax(unusable))
            raise InputError(f"{stored.shown_as}: row {row} is {labels[row]}, expected classes from 0 to 2**63 - 1")
        return labels.astype(np.int64)
    odd = ~np.isin(labels, (0, 1)).all(axis=1)
    if odd.any():
        raise InputError(f"{stored.shown_as}: row {np.argmax(odd)} holds values other than 0 and 1")
    return labels.astype(bool)


def _neighbors(stored: StoredArray, n_query: int, n_database: int, needed: int) -> np.ndarray:
    """Return the first true neighbours of each query, as many as are needed."""
    mend = "delete it, and hashbench finds them"
    if len(stored.shape) != 2 or stored.dtype.kind not in "iu" or stored.shape[0] != n_query:
        raise InputError(
            f"{stored.shown_as} is {stored.dtype} of shape {stored.shape}, expected whole numbers ({n_query}, k): "
            f"a row per query; {mend}"
        )
    if stored.shape[1] < needed:
        raise InputError(f"{stored.shown_as} has {stored.shape[1]} neighbours per query, {needed} are needed; {mend}")
    neighbors = stored.read()[:, :needed].astype(np.int64)
    outside = ((neighbors < 0) | (neighbors >= n_database)).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        odd = next(int(item) for item in neighbors[row] if not 0 <= item < n_database)
        raise InputError(
            f"{stored.shown_as}: row {row} names {odd}, the database has rows 0 to {n_database - 1}; {mend}"
        )
    ordered = np.sort(neighbors, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise InputError(f"{stored.shown_as}: row {np.argmax(twice)} names a neighbour twice; {mend}")
    return neighbors


def _distance(attributes: dict[str, Any], has_neighbors: bool, path: Path) -> Any:
    """Return by what neighbours are near, as ann-benchmarks' files say it; it matters where they are computed."""
    stated = attributes.get("distance", "euclidean")
    stated = stated.decode() if isinstance(stated, bytes) else str(stated)
    if stated.lower() not in DISTANCES and not has_neighbors:
        raise InputError(
            f"{path}: its distance is {stated!r}; hashbench finds euclidean and angular neighbours, "
            "for others the file must hold neighbors"
        )
    return DISTANCES.get(stated.lower(), "euclidean")
