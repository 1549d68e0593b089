"""Reads embeddings of the user: which parts the files contain, and whether they fit together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.items import Items, holds_exactly
from hashbench.data.readers.arrays.array_folder import NAMES, open_folder
from hashbench.data.readers.arrays.array_formats import open_file
from hashbench.data.readers.arrays.rounding import EqualRows, is_wide, middle_of_far_vectors
from hashbench.data.readers.arrays.stored_array import Contents, StoredArray, refuse_too_large
from hashbench.data.readers.files_passed_over import hidden_in, said_of
from hashbench.data.readers.given_neighbors import TRUE, given_neighbors, share_of_true
from hashbench.data.readers.labels.find_labels import listed, passed_over
from hashbench.data.readers.vector_labels import joined_labels
from hashbench.data.similarity import SIMILARITIES, WORDS, Similarity
from hashbench.errors import InputError
from hashbench.files.writing import as_input_error, refuse_full_disk
from hashbench.progress import progress, to_stderr

LAYOUTS = (
    "vectors (of which queries are drawn), or database and query (in ann-benchmarks' words train and test), "
    "and optionally learn, neighbors, labels, database_labels, query_labels, learn_labels"
)
IN_MEMORY = 2**28
"""Maximum bytes of vectors that are copied in memory; a larger copy is written to the disk."""


def read_vectors(
    path: Path,
    n_neighbors: int,
    scratch: Path | None = None,
    label: str | None = None,
    similarity: str | None = None,
) -> Items:
    """Read embeddings from a file or a folder.

    Rows are in the order database, query, learn, whatever the file. What one file holds row by row, in a
    type whose values float32 holds, is memory-mapped and not converted; everything else is read in blocks into one
    array, of float32 or of the narrower type that all parts have.

    Parameters
    ----------
    path : Path
        A file of one of `hashbench.data.readers.arrays.array_formats.SUFFIXES`, or a folder of files of parts; the
        names are those of `hashbench.data.readers.arrays.array_folder.NAMES`.
    n_neighbors : int
        Maximum number of true neighbours of each query that are read, if the files have any.
    scratch : Path, optional
        Directory of a copy that is larger than `IN_MEMORY`; by default the copy is in memory.
    label : str, optional
        The column of labels, if it has an unusual name; ``none`` to read no labels.
    similarity : {"euclidean", "cosine", "ip"}, optional
        The similarity of vectors; by default that of the file, or else Euclidean distance.

    Returns
    -------
    Items
        With ``parts`` where the files name them, and with labels or neighbours where they hold any.

    Raises
    ------
    InputError
        A file is missing or damaged, its vectors, labels or neighbours are not usable, or hashbench does not rank by
        its distance.
    """
    hidden = _hidden(path)
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
    stated = _stated(contents.attributes, similarity, path)
    chosen = WORDS[similarity or stated or "euclidean"]
    given = None
    if nearest is not None and (not stated or WORDS.get(stated) == chosen):
        given = given_neighbors(nearest, sizes["query"], sizes["database"], n_neighbors)
    elif nearest is not None:
        to_stderr(f"vectors: {nearest.shown_as} is by {stated}: neighbours by {chosen} are computed")
    labels, sources = joined_labels(replace(contents, arrays=arrays), parts, NAMES, path, label)
    vectors, centred = _joined(list(parts.values()), path, scratch, chosen)
    rows = _rows(sizes) if named else {}
    provenance = f"own vectors, {contents.kind}"
    if nearest is not None and given is not None:
        share = share_of_true(given, vectors, rows["query"], rows["database"], chosen, nearest.shown_as)
        if share < TRUE:
            to_stderr(
                f"vectors: warning: {nearest.shown_as}: {share:.1%} of its neighbours are the nearest by {chosen}"
            )
            provenance += f", {share:.1%} of given neighbours true"
    read = [*parts.values(), *([nearest] if nearest is not None and given is not None else [])]
    names = sorted(name for name, stored in arrays.items() if any(stored is one for one in read))
    others = [name for name in contents.arrays if name.casefold() not in (*names, *sources)]
    return Items(
        features=vectors,
        labels=None if labels is None else labels.array,
        label_names=[] if labels is None else labels.names,
        parts=rows,
        neighbors=given,
        similarity=chosen,
        centred=centred,
        provenance=provenance,
        notes=[] if labels is None else labels.notes,
        read_as=f"{', '.join(names)} of {contents.kind}" + (f", labels {listed(sources)}" if sources else ""),
        passed_over=[*passed_over("arrays, columns or files", [*sorted(others), *contents.passed_over]), *hidden],
    )


def _hidden(path: Path) -> list[str]:
    """Return in words which hidden files a folder has; nothing for a file."""
    kinds = hidden_in(path) if path.is_dir() else None
    return [said_of(kinds)] if kinds else []


def _open(path: Path, label: str | None) -> tuple[Path, Contents]:
    if path.is_file():
        return path, open_file(path, label)
    if not path.is_dir():
        raise InputError(f"--data-dir {path}: no such file or folder")
    return open_folder(path, LAYOUTS, label)


def _usable(contents: Contents, path: Path) -> dict[str, StoredArray]:
    """Return a file's arrays without those that mean something else here.

    In VIBE's files ``learn`` holds more queries, with neighbours, and not training vectors.
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
    wide = [name for name, stored in arrays.items() if len(stored.shape) == 2]
    if not parts and len(wide) == len(arrays) == 1:  # under any name
        parts["vectors"] = arrays[wide[0]]
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


def _joined(
    parts: Sequence[StoredArray], path: Path, scratch: Path | None, similarity: Similarity
) -> tuple[np.ndarray, bool]:
    """Return the parts as one array, the map of a file where that is all of it, else a copy; and whether it is moved.

    Moving changes angles and inner products, so only vectors are moved that are compared by Euclidean distance.
    """
    mapped = parts[0].mapped
    if len(parts) == 1 and mapped is not None and holds_exactly(mapped.dtype) and mapped.strides[1] == mapped.itemsize:
        with progress(f"reading {len(mapped):,} vectors", len(mapped)) as bar:
            for rows, block in parts[0].blocks():
                _refuse_not_finite(parts[0], rows, block, block)
                bar.advance(len(block))
        return mapped, False
    common = np.result_type(*(stored.dtype for stored in parts))
    dtype = common.newbyteorder("=") if holds_exactly(common.newbyteorder("=")) else np.dtype(np.float32)
    shape = (sum(stored.shape[0] for stored in parts), parts[0].shape[1])
    wide = any(map(is_wide, parts))
    middle = middle_of_far_vectors(parts) if wide and similarity == "euclidean" else None
    if middle is not None:
        to_stderr("vectors: a mean of rows is subtracted before they are rounded to float32: they lie far from 0")
    blocks = _converted(parts, shape[0], dtype, middle, EqualRows() if wide else None)
    if scratch is None or shape[0] * shape[1] * dtype.itemsize <= IN_MEMORY:
        return _in_memory(blocks, shape, dtype, path), middle is not None
    what = f"{path}: {shape[0]:,} × {shape[1]:,} values, which are copied twice,"
    refuse_full_disk(scratch, 2 * shape[0] * shape[1] * dtype.itemsize, what)
    return _on_disk(blocks, shape, dtype, scratch), middle is not None


def _converted(
    parts: Sequence[StoredArray], n_rows: int, dtype: np.dtype, middle: np.ndarray | None, equal: EqualRows | None
) -> Iterator[np.ndarray]:
    """Yield the rows of the parts one after the other; each value is looked at and copied once."""
    with progress(f"reading {n_rows:,} vectors", n_rows) as bar:
        for stored in parts:
            for rows, block in stored.blocks():
                with np.errstate(all="ignore"):  # values outside the range of float32 become infinite, and are refused
                    moved = block if middle is None else np.asarray(block, np.float64) - middle
                    own = np.ascontiguousarray(moved, dtype)
                _refuse_not_finite(stored, rows, own, block)
                if equal is not None:
                    equal.add(block, own)
                yield own
                bar.advance(len(block))
    if equal is not None and equal.count:
        to_stderr(
            f"vectors: warning: {equal.count:,} rows differ in float64 and are equal to others in float32, in which "
            "vectors are kept: which of them is nearer to a query is not known"
        )


def _in_memory(blocks: Iterator[np.ndarray], shape: tuple[int, int], dtype: np.dtype, path: Path) -> np.ndarray:
    refuse_too_large(str(path), shape, dtype)
    vectors, first = np.empty(shape, dtype), 0
    for block in blocks:
        vectors[first : first + len(block)] = block
        first += len(block)
    return vectors


def _on_disk(blocks: Iterator[np.ndarray], shape: tuple[int, int], dtype: np.dtype, scratch: Path) -> np.ndarray:
    """Return the memory-map of an unnamed file, which disappears when it is no longer used."""
    with as_input_error(scratch), tempfile.TemporaryFile(dir=scratch) as stream:
        for block in blocks:
            stream.write(block.data)
        stream.flush()
        return np.memmap(stream, dtype, "r", shape=shape)


def _refuse_not_finite(stored: StoredArray, rows: np.ndarray, kept: np.ndarray, given: np.ndarray) -> None:
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        where = f"{stored.shown_as}: row {rows[bad]} holds"
        if np.isfinite(given[bad]).all():
            largest = np.abs(np.asarray(given[bad], np.float64)).max()
            raise InputError(f"{where} {largest:g}, which float32 cannot hold: divide the vectors by a constant")
        raise InputError(f"{where} NaN or infinite values")


def _stated(attributes: dict[str, Any], chosen: str | None, path: Path) -> str:
    """Return the similarity that a file states, as in ann-benchmarks; empty if there is none."""
    stated = _text(attributes.get("distance", ""))
    if stated and stated.lower() not in WORDS and chosen is None:
        raise InputError(
            f"{path}: its distance is {stated!r}; hashbench ranks vectors by {', '.join(SIMILARITIES)}: choose one of "
            "them with --similarity, by which neighbours are computed then"
        )
    return stated.lower()


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
