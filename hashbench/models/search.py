"""Nearest items of a user's own queries, for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.contract.quantizer import Quantizer
from hashbench.data.look import Look
from hashbench.data.readers.arrays.stored_array import refuse_too_large
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy
from hashbench.files.writing import as_input_error, atomic_stream
from hashbench.models.code_files import read_codes
from hashbench.models.encode import Encoded, Rows, encode_input, open_rows, refuse_nonfinite, said_of
from hashbench.models.inputs import InputOptions
from hashbench.models.model_files import SavedModel
from hashbench.models.ranking import Nearest, by_hamming, by_quantizer, by_values, rescored

RESCORED = {"euclidean": "Euclidean distance", "cosine": "cosine distance", "ip": "negative inner product"}
"""What the distances of candidates are that are ranked again by their vectors."""
_ALIKE = "their codes cannot be compared; encode both alike"
QUERY_STEP = 256
"""Queries whose neighbours are in memory at once."""


@dataclass(frozen=True)
class Rescoring:
    """What candidates are ranked again by.

    Attributes
    ----------
    path : Path
        Of the database's vectors, as `hashbench.models.encode.encode_input` takes them.
    factor : int
        How many candidates there are to a neighbour.
    """

    path: Path
    factor: int


@dataclass(frozen=True)
class Search:
    """A database with its queries, to be searched.

    Attributes
    ----------
    nearest : callable
    n_queries, n_items : int
    query_names, item_names : list of str
        Empty where they have none.
    words : str
        What the neighbours are near by, for a title.
    """

    nearest: Nearest
    n_queries: int
    n_items: int
    query_names: list[str]
    item_names: list[str]
    words: str

    def neighbours(self, k: int, n: int | None = None) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield the row of each query, or of the first ``n``, with its nearest items' rows and distances.

        Parameters
        ----------
        k : int
            How many; at most all.
        n : int, optional
        """
        n = self.n_queries if n is None else min(n, self.n_queries)
        for first in range(0, n, QUERY_STEP):
            part = slice(first, min(n, first + QUERY_STEP))
            yield from zip(range(part.start, part.stop), *self.nearest(part, min(k, self.n_items)), strict=True)


def open_search(
    model: SavedModel,
    database: Path,
    query: Path,
    *,
    distance: str | None = None,
    rescoring: Rescoring | None = None,
    options: InputOptions | None = None,
) -> Search:
    """Encode what is not encoded yet, and make ready to search.

    Parameters
    ----------
    model : SavedModel
    database, query : Path
        What `hashbench.models.encode.encode_input` takes, or a .npy file of codes.
    distance : {"hamming", "asymmetric"}, optional
        Of a hash method; Hamming distance by default.
    rescoring : Rescoring, optional
    options : InputOptions, optional
        How image files are read.

    Raises
    ------
    InputError
        Database, queries or options do not fit the model or each other, or queries are codes where vectors are needed.
    """
    again = None if rescoring is None else _open_rescoring(model, query, rescoring)
    items = codes_of(model, database, options)
    query_rows: Rows | Encoded
    if isinstance(model.method, Quantizer):
        if distance is not None:
            raise InputError(f"--distance {distance}: {model.method.name} defines its own distance; leave it out")
        query_rows = _query_vectors(model, query, f"{model.method.name} compares", options)
        vectors = _vectors(model, query_rows)
        nearest = by_quantizer(model.method, vectors, items.codes, model.similarity)
        words = "its own distance" + (" by the inner product" if model.similarity == "ip" else "")
        n_queries = len(vectors)
    elif distance == "asymmetric":
        query_rows = _query_vectors(model, query, "--distance asymmetric compares", options)
        values = _values(model, query_rows)
        nearest, words = by_values(values, items.codes), "asymmetric distance"
        n_queries = len(values)
    else:
        query_rows = codes_of(model, query, options)
        nearest, words = by_hamming(query_rows.codes, items.codes, model.n_bits), "Hamming distance"
        n_queries = len(query_rows.codes)
    _refuse_other_look(query_rows.look, items.look)
    if again is not None and rescoring is not None:
        nearest = _rescored(model, nearest, *again, len(items.codes), rescoring.factor)
        words = f"{RESCORED[model.similarity]} among {rescoring.factor} times as many by {words}"
    words = f"{words} ({model.label}, {model.length})"
    return Search(nearest, n_queries, len(items.codes), query_rows.names, items.names, words)


def codes_of(model: SavedModel, source: Path, options: InputOptions | None = None) -> Encoded:
    """Return the codes of a file of codes, or of vectors or images.

    Parameters
    ----------
    model : SavedModel
    source : Path
        A .npy file of codes, (n, n_bytes) uint8, or what `hashbench.models.encode.encode_input` takes.
    options : InputOptions, optional
        How image files are read.

    Raises
    ------
    InputError
        The file holds neither codes, vectors nor images, or does not fit the model.
    """
    return read_codes(source, model) if _holds_codes(source) else encode_input(model, source, options)


def _holds_codes(source: Path) -> bool:
    if source.suffix.lower() != ".npy" or not source.is_file():
        return False
    array = open_npy(source)
    return array.ndim == 2 and array.dtype == np.uint8


def _query_vectors(model: SavedModel, source: Path, who: str, options: InputOptions | None = None) -> Rows:
    """Open queries that stay vectors, or the features of images."""
    if _holds_codes(source):
        raise InputError(f"{source} holds codes, but {who} vectors with codes: give the queries as encode's INPUT")
    return open_rows(model, source, options, "vectors")


def _vectors(model: SavedModel, rows: Rows) -> np.ndarray:
    """Return all rows as float vectors, as the model compares them, if they are finite."""
    if rows.array is not None and rows.array.mapped is None:
        refuse_too_large(str(rows.path), rows.array.shape, rows.array.dtype)
    blocks = []
    for first, block in rows.blocks():
        refuse_nonfinite(rows.path, first, block)
        blocks.append(block)
    mapped = None if rows.array is None or model.similarity == "cosine" else rows.array.mapped
    vectors = np.concatenate(blocks) if mapped is None else mapped
    return vectors if vectors.dtype.kind == "f" else vectors.astype(np.float32)


def _values(model: SavedModel, rows: Rows) -> np.ndarray:
    """Return the real values of queries."""
    vectors = _vectors(model, rows)
    with said_of(model, vectors, 0, rows.path):
        return model.values(vectors)


def _open_rescoring(model: SavedModel, query: Path, rescoring: Rescoring) -> tuple[Rows, Rows]:
    """Open the vectors of the queries and of the database."""
    queries = _query_vectors(model, query, "--rescore compares")
    opened = queries, open_rows(model, rescoring.path)
    for rows, whose in zip(opened, ("queries'", "database's"), strict=True):
        if rows.array is None:
            raise InputError(f"{rows.path} holds images, but --rescore compares vectors: give the {whose} as an array")
    return opened


def _rescored(model: SavedModel, nearest: Nearest, queries: Rows, database: Rows, n_items: int, factor: int) -> Nearest:
    """Return a search whose candidates are ranked again by the vectors of a file."""
    assert database.array is not None
    if database.n != n_items:
        raise InputError(
            f"--rescore {database.path} holds {database.n:,} vectors, the database {n_items:,} items: give the "
            "vectors of these items, in their order"
        )
    mapped = database.array.mapped
    vectors = _vectors(model, database) if mapped is None else mapped
    return rescored(nearest, _vectors(model, queries), vectors, database.path, factor, model.similarity)


def _refuse_other_look(query: Look | None, database: Look | None) -> None:
    """Refuse images of which only one set was turned, or which were laid over two colours or scaled in two ways."""
    if query is None or database is None:
        return
    if query.exif != database.exif:
        turned, of_database = ("queries", "database") if query.exif else ("database", "queries")
        raise InputError(f"the {turned} were encoded with --exif, the {of_database} without: {_ALIKE}")
    for option, of_queries, of_database in (
        ("--background", query.background, database.background),
        ("--grey-range", query.grey_range, database.grey_range),
    ):
        if of_queries and of_database and of_queries != of_database:
            raise InputError(
                f"the queries were encoded with {option} {of_queries}, "
                f"the database with {option} {of_database}: {_ALIKE}"
            )


def write_csv(path: Path, search: Search, k: int) -> None:
    """Write a line per query and neighbour: rows, rank from 1, distance, and names where there are any.

    Names are as files have them, so that programs can join by them; a spreadsheet may take one for a formula.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    header = ["query", "rank", "distance", "row"]
    header += ["query_name"] * bool(search.query_names) + ["row_name"] * bool(search.item_names)
    with as_input_error(path), atomic_stream(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row, items, distances in search.neighbours(k):
            of_query = [search.query_names[row]] if search.query_names else []
            for rank, (item, distance) in enumerate(zip(items, distances, strict=True), 1):
                of_item = [search.item_names[item]] if search.item_names else []
                writer.writerow([row, rank, distance, item, *of_query, *of_item])
        text.detach()
