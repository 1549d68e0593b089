"""Arrays in files of any kind that embeddings are kept in, by the file's suffix, read block by block."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from hashbench.data.readers.arrays import row_files
from hashbench.data.readers.arrays.parquet import read_parquet
from hashbench.data.readers.arrays.stored_array import Blocks, StoredArray, readable, rows_of_a_block, sliced
from hashbench.data.readers.labels.cells import LabelColumn
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy as open_array

SUFFIXES = (".npy", ".npz", ".parquet", ".hdf5", ".h5", *row_files.SUFFIXES)


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
    labels : dict from str to list of LabelColumn
        Columns of labels beside those arrays; labels that are arrays are among `arrays`.
    passed_over : list of str
        Columns, or files of a folder, that are not read.
    """

    kind: str
    arrays: dict[str, StoredArray]
    attributes: dict[str, Any]
    labels: dict[str, list[LabelColumn]] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


def open_file(path: Path, label: str | None = None) -> Contents:
    """Return what a file holds, by its suffix; rows are read when they are asked for.

    The one array of a ``.npy``, ``.fvecs`` or ``.fbin`` file has the name ``vectors``. So has the column ``vector`` or
    ``embedding`` of a parquet file, or its only column of lists of floats; where it has a column ``part``, each of the
    parts that this names is an array. Others have their names in the file.

    Parameters
    ----------
    path : Path
    label : str, optional
        The column of labels, where it has another than a usual name; ``none`` where none is to be read.

    Raises
    ------
    InputError
        The file is damaged, of no known kind, or needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = open_array(path)
        return Contents(".npy", {"vectors": sliced(str(path), array)}, {})
    if suffix == ".npz":
        return Contents(".npz", _npz(path), {})
    if suffix == ".parquet":
        arrays, labels, passed_over = read_parquet(path, label)
        return Contents("parquet", arrays, {}, labels, passed_over)
    if suffix in row_files.SUFFIXES:
        return Contents(suffix, {"vectors": row_files.open_rows(path)}, {})
    if suffix in SUFFIXES:
        return Contents("HDF5", *_hdf5(path))
    raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")


def _npz(path: Path) -> dict[str, StoredArray]:
    with readable(str(path), ".npz file"), zipfile.ZipFile(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _npz_member(path, archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }


def _npz_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> StoredArray:
    """Return an array of an archive; it is decompressed as a stream, never whole beside a copy."""
    name = info.filename.removesuffix(".npy")
    shown_as = f"{path}: {name}"
    with archive.open(info) as stream:
        shape, fortran, dtype = _npy_header(stream)
        header = stream.tell()
    if dtype.hasobject:
        raise InputError(f"{shown_as} holds Python objects, expected numbers")
    if info.file_size - header != dtype.itemsize * math.prod(shape):
        raise InputError(f"{shown_as} is damaged: it has another size than its header says")

    def blocks() -> Blocks:
        if fortran:
            with readable(shown_as, "array"), np.load(path, allow_pickle=False) as file:
                whole = file[name]
            yield from sliced(shown_as, whole).blocks()
            return
        step = rows_of_a_block(shape, dtype)
        with readable(shown_as, "array"), zipfile.ZipFile(path) as archive, archive.open(info.filename) as stream:
            _npy_header(stream)
            for start in range(0, shape[0], step):
                block = (min(step, shape[0] - start), *shape[1:])
                content = stream.read(dtype.itemsize * math.prod(block))
                yield np.arange(start, start + block[0]), np.frombuffer(content, dtype).reshape(block)

    return StoredArray(shown_as, shape, dtype, blocks)


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
    with readable(str(path), "HDF5 file"), h5py.File(path, "r") as file:
        arrays = {}
        for name in file:
            # Nothing that lies in another file: neither by a link nor by the array's storage.
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                continue
            array = file[name]
            if isinstance(array, h5py.Dataset) and not array.is_virtual and not array.external:
                arrays[name] = _hdf5_array(path, name, array.shape or (), array.dtype)
        return arrays, dict(file.attrs)


def _hdf5_array(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> StoredArray:
    shown_as = f"{path}: {name}"

    def blocks() -> Blocks:
        import h5py

        step = rows_of_a_block(shape, dtype)
        with readable(shown_as, "array"), h5py.File(path, "r") as file:
            for start in range(0, shape[0], step):
                block = file[name][start : start + step]
                yield np.arange(start, start + len(block)), block

    return StoredArray(shown_as, shape, dtype, blocks)
