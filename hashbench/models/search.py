"""Nearest items by Hamming distance, for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hashbench.errors import InputError
from hashbench.evaluation.counting import kernels
from hashbench.evaluation.counting.codes import item_words, word_major
from hashbench.files.arrays import open_npy
from hashbench.files.writing import atomic_stream, csv_safe
from hashbench.models.code_files import read_codes
from hashbench.models.encode import Encoded, encode_input
from hashbench.models.saved import SavedModel

QUERY_STEP = 256
"""Queries whose neighbours are in memory at once."""


def codes_of(model: SavedModel, source: Path, exif: bool = False) -> Encoded:
    """Return the codes of a file of codes, or of vectors or images.

    Parameters
    ----------
    model : SavedModel
    source : Path
        A .npy file of codes, (n, ceil(n_bits / 8)) uint8, or what `hashbench.models.encode.encode_input` takes.
    exif : bool
        Turn image files as their EXIF orientation says.

    Raises
    ------
    InputError
        It is none of these, or does not fit the model.
    """
    if source.suffix.lower() == ".npy" and source.is_file():
        array = open_npy(source)
        if array.ndim == 2 and array.dtype == np.uint8:
            return read_codes(source, model)
    return encode_input(model, source, exif)


def refuse_other_turning(query: Encoded, database: Encoded) -> None:
    """Raise if only one of two sets of photographs was turned as their EXIF orientation says.

    Raises
    ------
    InputError
        Their codes cannot be compared.
    """
    if None not in (query.exif, database.exif) and query.exif != database.exif:
        turned, other = ("queries", "database") if query.exif else ("database", "queries")
        raise InputError(
            f"the {turned} were encoded with --exif, the {other} without: their codes cannot be compared; encode "
            "both alike"
        )


def neighbours(
    query: np.ndarray, database: np.ndarray, n_bits: int, k: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the nearest database items of each query, ties in the database's order.

    Parameters
    ----------
    query, database : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int
    k : int
        How many; at most all.

    Yields
    ------
    row : int
        Of the query.
    items : ndarray of shape (min(k, n_database),), int64
    distances : ndarray of the same shape, int32
    """
    words, depth = word_major(database), min(k, len(database))
    for first in range(0, len(query), QUERY_STEP):
        queries = item_words(query[first : first + QUERY_STEP])
        items, distances = kernels.nearest(queries, words, n_bits, depth)
        yield from zip(range(first, first + len(queries)), items, distances, strict=True)


def write_csv(path: Path, model: SavedModel, query: Encoded, database: Encoded, k: int) -> None:
    """Write a line per query and neighbour: rows, rank from 1, distance, and names where there are any.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    header = ["query", "rank", "distance", "row"]
    header += ["query_name"] * bool(query.names) + ["row_name"] * bool(database.names)
    try:
        with atomic_stream(path) as stream:
            text = io.TextIOWrapper(stream, "utf-8", newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(header)
            for row, items, distances in neighbours(query.codes, database.codes, model.n_bits, k):
                of_query = [csv_safe(query.names[row])] if query.names else []
                for rank, (item, distance) in enumerate(zip(items, distances, strict=True), 1):
                    of_item = [csv_safe(database.names[item])] if database.names else []
                    writer.writerow([row, rank, distance, item, *of_query, *of_item])
            text.detach()
    except OSError as error:
        raise InputError(f"--csv {path} cannot be written ({error.strerror or error})") from error
