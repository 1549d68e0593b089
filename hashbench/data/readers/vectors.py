"""Reads the user's own embeddings: which parts his files hold, and whether they fit together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.items import Items, holds_exactly
from hashbench.data.readers.arrays.array_folder import open_folder
from hashbench.data.readers.arrays.array_formats import Contents, open_file
from hashbench.data.readers.arrays.stored_array import StoredArray, refuse_too_large
from hashbench.data.readers.labels.names import listed, passed_over
from hashbench.data.readers.parts import DATABASE, PARTS, QUERY, TRAIN
from hashbench.data.readers.vector_labels import given_neighbors, joined_labels
from hashbench.errors import InputError
from hashbench.files.writing import refuse_full_disk, said_clearly
from hashbench.progress import progress

NAMES = {
    "database": (*PARTS[DATABASE], *PARTS[TRAIN]),
    "query": PARTS[QUERY],
    "learn": ("learn",),
    "vectors": ("vectors",),
}
"""What each part may be called, in lower case; training vectors are the database, as in ann-benchmarks' files."""
LAYOUTS = (
    "vectors (of which queries are drawn), or database and query (in ann-benchmarks' words train and test), "
    "and optionally learn, neighbors, labels, database_labels, query_labels, learn_labels"
)
DISTANCES = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "normalized": "euclidean",  # VIBE's word for vectors of length 1, of which both orders are one
    "angular": "angular",
    "cosine": "angular",
}
IN_MEMORY = 2**28
"""Bytes of vectors up to which a copy is made in memory; a larger one goes to the disk."""


def read_vectors(path: Path, n_neighbors: int, scratch: Path | None = None, label: str | None = None) -> Items:
    """Read embeddings from a file or a folder.

    Rows stand in the order database, query, learn, whatever the file. What lies in one file row by row, in a
    type whose values float32 holds, is memory-mapped and not converted; everything else is read in blocks into one
    array, of float32 or of the narrower type that all parts have.

    Parameters
    ----------
    path : Path
        A file of one of `hashbench.data.readers.arrays.array_formats.SUFFIXES`, or a folder of files of parts; the
        names are those of `NAMES`.
    n_neighbors : int
        How many true neighbours are needed of each query, where the files hold any.
    scratch : Path, optional
        Where a copy may lie that is larger than `IN_MEMORY`; by default it lies in memory.
    label : str, optional
        The column of labels, where it has another than a usual name; ``none`` where none is to be read.

    Returns
    -------
    Items
        With ``parts`` where the files name them, and with labels or neighbours where they hold any.

    Raises
    ------
    InputError
        A file is missing or damaged, or its vectors, labels or neighbours are not usable.
    """
    path, contents = _open(path, label)
    arrays = _usable(contents, path)
    parts = _parts(arrays, path)
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
    nearest = arrays.get("neighbors")
    if nearest is not None and not named:
        raise InputError(f"{nearest.shown_as}: neighbours need a database and queries that the files name")
    given = None if nearest is None else given_neighbors(nearest, sizes["query"], sizes["database"], n_neighbors)
    labels, sources = joined_labels(replace(contents, arrays=arrays), parts, NAMES, path, label)
    used = {*sources, "neighbors", *(name for names in NAMES.values() for name in names if name in arrays)}
    others = [*sorted(set(contents.arrays) - used), *contents.passed_over]
    return Items(
        features=_joined(list(parts.values()), path, scratch),
        labels=None if labels is None else labels.array,
        label_names=[] if labels is None else labels.names,
        parts=_rows(sizes) if named else {},
        neighbors=given,
        distance=_distance(contents.attributes, given is not None, path),
        provenance=f"own vectors, {contents.kind}",
        notes=[] if labels is None else labels.notes,
        read_as=f"{', '.join(sorted(arrays))} of {contents.kind}" + (f", labels {listed(sources)}" if sources else ""),
        passed_over=passed_over("arrays, columns or files", others),
    )


def _open(path: Path, label: str | None) -> tuple[Path, Contents]:
    if path.is_file():
        return path, open_file(path, label)
    if not path.is_dir():
        raise InputError(f"--data-dir {path}: no such file or folder")
    return open_folder(path, {name for names in NAMES.values() for name in names}, LAYOUTS, label)


def _usable(contents: Contents, path: Path) -> dict[str, StoredArray]:
    """Return a file's arrays without those that mean something else here.

    In VIBE's files ``learn`` are more queries, with neighbours of their own, and not vectors to train on.
    """
    if _text(contents.attributes.get("point_type", "")) == "binary":
        raise InputError(f"{path} holds packed bits (its point_type is binary); expected vectors: give the float file")
    arrays: dict[str, StoredArray] = {}
    for name, stored in contents.arrays.items():
        if arrays.setdefault(name.casefold(), stored) is not stored:
            raise InputError(f"{path} has {name} twice, in capitals and not: remove or rename one")
    left_out = {"learn", "learn_neighbors"} if "learn_neighbors" in arrays else set()
    return {name: stored for name, stored in arrays.items() if name not in left_out}


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


def _joined(parts: Sequence[StoredArray], path: Path, scratch: Path | None) -> np.ndarray:
    """Return the parts as one array: the map of a file where that is all of it, else a copy."""
    mapped = parts[0].mapped
    if len(parts) == 1 and mapped is not None and holds_exactly(mapped.dtype) and mapped.strides[1] == mapped.itemsize:
        with progress(f"reading {len(mapped):,} vectors", len(mapped)) as bar:
            for rows, block in parts[0].blocks():
                _refuse_not_finite(parts[0], rows, block)
                bar.advance(len(block))
        return mapped
    common = np.result_type(*(stored.dtype for stored in parts))
    dtype = common.newbyteorder("=") if holds_exactly(common.newbyteorder("=")) else np.dtype(np.float32)
    shape = (sum(stored.shape[0] for stored in parts), parts[0].shape[1])
    blocks = _converted(parts, shape[0], dtype)
    if scratch is None or shape[0] * shape[1] * dtype.itemsize <= IN_MEMORY:
        return _in_memory(blocks, shape, dtype, path)
    what = f"{path}: {shape[0]:,} × {shape[1]:,} values, which are copied twice,"
    refuse_full_disk(scratch, 2 * shape[0] * shape[1] * dtype.itemsize, what)
    return _on_disk(blocks, shape, dtype, scratch)


def _converted(parts: Sequence[StoredArray], n_rows: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    """Yield the rows of the parts one after the other; each value is looked at and copied once."""
    with progress(f"reading {n_rows:,} vectors", n_rows) as bar:
        for stored in parts:
            for rows, block in stored.blocks():
                with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
                    own = np.ascontiguousarray(block, dtype)
                _refuse_not_finite(stored, rows, own)
                yield own
                bar.advance(len(block))


def _in_memory(blocks: Iterator[np.ndarray], shape: tuple[int, int], dtype: np.dtype, path: Path) -> np.ndarray:
    refuse_too_large(str(path), shape, dtype)
    vectors, first = np.empty(shape, dtype), 0
    for block in blocks:
        vectors[first : first + len(block)] = block
        first += len(block)
    return vectors


def _on_disk(blocks: Iterator[np.ndarray], shape: tuple[int, int], dtype: np.dtype, scratch: Path) -> np.ndarray:
    """Return the memory-map of a file that has no name and is gone when nobody needs it any more."""
    with said_clearly(scratch), tempfile.TemporaryFile(dir=scratch) as stream:
        for block in blocks:
            stream.write(block.data)
        stream.flush()
        return np.memmap(stream, dtype, "r", shape=shape)


def _refuse_not_finite(stored: StoredArray, rows: np.ndarray, block: np.ndarray) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise InputError(f"{stored.shown_as}: row {rows[np.argmin(finite)]} holds NaN or infinite values")


def _distance(attributes: dict[str, Any], has_neighbors: bool, path: Path) -> Any:
    """Return by what neighbours are near, as ann-benchmarks' files say it; it matters where they are computed."""
    stated = _text(attributes.get("distance", "euclidean"))
    if stated.lower() not in DISTANCES and not has_neighbors:
        raise InputError(
            f"{path}: its distance is {stated!r}; hashbench finds euclidean and angular neighbours, "
            "for others the file must hold neighbors"
        )
    return DISTANCES.get(stated.lower(), "euclidean")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
