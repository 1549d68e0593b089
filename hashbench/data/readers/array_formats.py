"""Arrays in the files that embeddings are kept in (.npy, .npz, parquet, HDF5), read block by block."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from hashbench.errors import InputError
from hashbench.files.arrays import open_npy as open_array

BLOCK_BYTES = 16 * 2**20
SUFFIXES = (".npy", ".npz", ".parquet", ".hdf5", ".h5")
VECTOR_COLUMNS = ("vector", "embedding")

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes
    ----------
    place : str
        What names it in a message: the file, and what in it.
    shape : tuple of int
    dtype : numpy.dtype
    blocks : callable
        Yields (row numbers in the file, rows), in order.
    mapped : ndarray, optional
        The whole array where it can be memory-mapped.
    """

    place: str
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[], Blocks]
    mapped: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """Return all rows in memory.

        Raises
        ------
        InputError
            They need more than there is.
        """
        refuse_too_large(self.place, self.shape, self.dtype)
        return np.concatenate([block for _, block in self.blocks()])


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    kind : str
        What the file is, in words.
    arrays : dict from str to StoredArray
    attributes : dict
        What an HDF5 file says of itself.
    """

    kind: str
    arrays: dict[str, StoredArray]
    attributes: dict[str, Any]


def open_file(path: Path) -> Contents:
    """Return what a file holds, by its suffix; rows are read when they are asked for.

    An array of a ``.npy`` file has the name ``vectors``. So has the column ``vector`` or ``embedding`` of a parquet
    file, with ``labels`` for its column ``label``; where it has a column ``part``, each of the parts that this names
    is an array, with its labels as ``<part>_labels``. Others have their names in the file.

    Raises
    ------
    InputError
        The file is damaged, of no known kind, or needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = open_array(path)
        return Contents(".npy", {"vectors": _sliced(str(path), array)}, {})
    if suffix == ".npz":
        return Contents(".npz", _npz(path), {})
    if suffix == ".parquet":
        return Contents("parquet", _parquet(path), {})
    if suffix in SUFFIXES:
        return Contents("HDF5", *_hdf5(path))
    raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")


def refuse_too_large(place: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise if an array, of which a file may claim any size, needs more memory than is available.

    Raises
    ------
    InputError
        It does.
    """
    needed, available = math.prod(shape) * dtype.itemsize, psutil.virtual_memory().available
    if needed > available:
        sizes = " × ".join(f"{size:,}" for size in shape)
        raise InputError(
            f"{place}: {sizes} values need {needed / 2**30:,.1f} GiB of memory, {available / 2**30:,.1f} GiB are "
            "available; give fewer"
        )


@contextmanager
def _readable(place: str, kind: str) -> Iterator[None]:
    """Turn what a reader raises over a damaged file into one line."""
    import pyarrow

    damaged = (OSError, ValueError, EOFError, RuntimeError, KeyError, NotImplementedError)
    try:
        yield
    except (*damaged, zipfile.BadZipFile, zlib.error, pyarrow.ArrowException) as error:
        raise InputError(f"{place} is not a readable {kind} ({error})") from error


def _rows_of_a_block(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return max(1, BLOCK_BYTES // max(1, dtype.itemsize * math.prod(shape[1:])))


def _sliced(place: str, array: np.ndarray) -> StoredArray:
    def blocks() -> Blocks:
        step = _rows_of_a_block(array.shape, array.dtype)
        for start in range(0, len(array), step):
            block = array[start : start + step]
            yield np.arange(start, start + len(block)), block

    return StoredArray(place, array.shape, array.dtype, blocks, array)


def _npz(path: Path) -> dict[str, StoredArray]:
    with _readable(str(path), ".npz file"), zipfile.ZipFile(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _npz_member(path, archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }


def _npz_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> StoredArray:
    """Return an array of an archive; it is decompressed as a stream, never whole beside a copy."""
    name = info.filename.removesuffix(".npy")
    place = f"{path}: {name}"
    with archive.open(info) as stream:
        shape, fortran, dtype = _npy_header(stream)
        header = stream.tell()
    if dtype.hasobject:
        raise InputError(f"{place} holds Python objects, expected numbers")
    if info.file_size - header != dtype.itemsize * math.prod(shape):
        raise InputError(f"{place} is damaged: it has another size than its header says")

    def blocks() -> Blocks:
        if fortran:
            with _readable(place, "array"), np.load(path, allow_pickle=False) as file:
                whole = file[name]
            yield from _sliced(place, whole).blocks()
            return
        step = _rows_of_a_block(shape, dtype)
        with _readable(place, "array"), zipfile.ZipFile(path) as archive, archive.open(info.filename) as stream:
            _npy_header(stream)
            for start in range(0, shape[0], step):
                block = (min(step, shape[0] - start), *shape[1:])
                content = stream.read(dtype.itemsize * math.prod(block))
                yield np.arange(start, start + block[0]), np.frombuffer(content, dtype).reshape(block)

    return StoredArray(place, shape, dtype, blocks)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version} of the .npy format is not for plain arrays")
    return read[version](stream)


def _hdf5(path: Path) -> tuple[dict[str, StoredArray], dict[str, Any]]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path} needs the package h5py: pip install 'hashbench[hdf5]'") from error
    with _readable(str(path), "HDF5 file"), h5py.File(path, "r") as file:
        found = {}
        for name in file:
            # Nothing that lies in another file: neither by a link nor by the array's storage.
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                continue
            array = file[name]
            if isinstance(array, h5py.Dataset) and not array.is_virtual and not array.external:
                found[name] = _hdf5_array(path, name, array.shape or (), array.dtype)
        return found, dict(file.attrs)


def _hdf5_array(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> StoredArray:
    place = f"{path}: {name}"

    def blocks() -> Blocks:
        import h5py

        step = _rows_of_a_block(shape, dtype)
        with _readable(place, "array"), h5py.File(path, "r") as file:
            for start in range(0, shape[0], step):
                block = file[name][start : start + step]
                yield np.arange(start, start + len(block)), block

    return StoredArray(place, shape, dtype, blocks)


def _parquet(path: Path) -> dict[str, StoredArray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _readable(str(path), "parquet file"), pq.ParquetFile(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        columns = [name for name in VECTOR_COLUMNS if name in schema.names]
        if len(columns) != 1:
            wanted = "vector or embedding, and optionally label and part"
            raise InputError(f"{path} has the columns {', '.join(schema.names)}; expected {wanted}")
        if n_rows == 0:
            raise InputError(f"{path} has no rows")
        (column,) = columns
        kind = schema.field(column).type
        if not _is_list(kind):
            raise InputError(f"{path}: the column {column} is {kind}, expected lists of floats")
        value = kind.value_type
        if not (pa.types.is_floating(value) or pa.types.is_integer(value)):
            raise InputError(f"{path}: the column {column} has lists of {value}, expected lists of floats")
        dtype = np.dtype(value.to_pandas_dtype())
        first = next(file.iter_batches(1, columns=[column])).column(0)
        width = len(first[0]) if first[0].is_valid else 0
        refuse_too_large(str(path), (n_rows, width), np.dtype(np.float32))
        labels = file.read(["label"]).column(0).combine_chunks() if "label" in schema.names else None
        parts = file.read(["part"]).column(0).to_pylist() if "part" in schema.names else None
    label_rows = None if labels is None else _labels(labels, f"{path}: the column label")

    def array_of(rows: np.ndarray, place: str) -> StoredArray:
        return StoredArray(
            place, (len(rows), width), dtype, lambda: _parquet_blocks(path, column, rows, width, dtype, n_rows)
        )

    members = {"vectors": np.arange(n_rows)} if parts is None else _by_part(parts, path)
    found = {}
    for name, rows in members.items():
        place = str(path) if parts is None else f"{path}: part {name}"
        found[name] = array_of(rows, place)
        if label_rows is not None:
            labels_name = "labels" if parts is None else f"{name}_labels"
            found[labels_name] = _sliced(f"{place}, column label", label_rows[rows])
    return found


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _by_part(parts: list[Any], path: Path) -> dict[str, np.ndarray]:
    """Return the rows of each part that the column ``part`` names."""
    for row, part in enumerate(parts):
        if not isinstance(part, str):
            raise InputError(f"{path}: row {row} of the column part is {part!r}, expected a name such as query")
    named = np.array(parts)
    return {str(part): np.flatnonzero(named == part) for part in np.unique(named)}


def _labels(column: Any, place: str) -> np.ndarray:
    """Return a column of numbers, or of lists of one length, as an array."""
    if column.null_count:
        raise InputError(f"{place}: row {_first(column.is_null())} is empty")
    if not _is_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    rows = np.arange(len(column))
    return _matrix(column, len(column[0]), rows, place)


def _parquet_blocks(path: Path, column: str, rows: np.ndarray, width: int, dtype: np.dtype, n_rows: int) -> Blocks:
    """Yield a column's lists as a matrix, those of the rows that are wanted."""
    import pyarrow.parquet as pq

    wanted = np.zeros(n_rows, bool)
    wanted[rows] = True
    start = 0
    with _readable(str(path), "parquet file"), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_rows_of_a_block((n_rows, width), dtype), columns=[column]):
            numbers = np.arange(start, start + len(batch))
            start += len(batch)
            matrix = _matrix(batch.column(0), width, numbers, str(path))
            chosen = wanted[numbers]
            if chosen.any():
                yield numbers[chosen], matrix[chosen] if not chosen.all() else matrix


def _matrix(lists: Any, width: int, rows: np.ndarray, place: str) -> np.ndarray:
    """Return lists of one length as a matrix."""
    import pyarrow as pa

    if lists.null_count:
        raise InputError(f"{place}: row {rows[_first(lists.is_null())]} is empty")
    if not pa.types.is_fixed_size_list(lists.type):
        lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise InputError(f"{place}: row {rows[row]} has {lengths[row]} values, row 0 has {width}")
    values = lists.flatten()
    if values.null_count:
        raise InputError(f"{place}: row {rows[_first(values.is_null()) // width]} holds an empty value")
    return values.to_numpy(zero_copy_only=False).reshape(len(lists), width)


def _first(flags: Any) -> int:
    return int(np.argmax(flags.to_numpy(zero_copy_only=False)))
