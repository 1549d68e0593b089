"""Files that hold several arrays under names: .npz, .safetensors, HDF5; each is read block by block."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from hashbench.data.readers.arrays.stored_array import (
    Blocks,
    Contents,
    StoredArray,
    readable,
    rows_of_a_block,
    sliced,
)
from hashbench.errors import InputError

SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
BFLOAT16 = "BF16"
"""float32 without its last 16 bits."""
LARGEST_HEADER = 100 * 2**20


def open_npz(path: Path) -> Contents:
    """Open a .npz file, compressed or not.

    Raises
    ------
    InputError
        The file is damaged, or holds Python objects.
    """
    with readable(str(path), ".npz file"), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        arrays = {info.filename.removesuffix(".npy"): _npz_member(path, archive, info) for info in members}
    return Contents(".npz", arrays, {})


def open_hdf5(path: Path) -> Contents:
    """Open an HDF5 file: the arrays at its top, and its attributes.

    Raises
    ------
    InputError
        The file is damaged, its arrays are inside groups, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path} needs the package h5py: pip install 'hashbench[hdf5]'") from error
    with readable(str(path), "HDF5 file"), h5py.File(path, "r") as file:
        arrays, groups, others = {}, [], []
        for name in file:
            # Nothing from other files: no external links, no external storage.
            array = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
            if isinstance(array, h5py.Dataset) and not array.is_virtual and not array.external:
                arrays[name] = _hdf5_array(path, name, array.shape or (), array.dtype)
            else:
                others.append(name)
                groups += [name] if isinstance(array, h5py.Group) else []
        if groups and not arrays:
            raise InputError(
                f"{path} keeps its arrays in groups ({', '.join(groups)}): expected them at the top of the file; copy "
                "those that are wanted into a file of their own"
            )
        return Contents("HDF5", arrays, dict(file.attrs), passed_over=others)


def open_safetensors(path: Path) -> Contents:
    """Open a .safetensors file: its tensors, memory-mapped, bfloat16 as float32; its metadata are the attributes.

    Raises
    ------
    InputError
        The file is damaged, or holds an unknown type.
    """
    with readable(str(path), ".safetensors file"):
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(LARGEST_HEADER, size - 8):
                raise InputError(f"{path} is not a readable .safetensors file (its header does not fit its size)")
            header = json.loads(stream.read(length))
        if not isinstance(header, dict):
            raise InputError(f"{path} is not a readable .safetensors file (its header is no table of tensors)")
        attributes = header.pop("__metadata__", {})
        arrays = {name: _tensor(path, name, facts, 8 + length, size) for name, facts in header.items()}
    return Contents(".safetensors", arrays, attributes if isinstance(attributes, dict) else {})


def _tensor(path: Path, name: str, facts: Any, start: int, size: int) -> StoredArray:
    shown_as = f"{path}: {name}"
    kind, shape, (first, end) = facts["dtype"], tuple(map(int, facts["shape"])), map(int, facts["data_offsets"])
    if kind not in (*SAFETENSORS, BFLOAT16):
        raise InputError(f"{shown_as} has the type {kind}, expected one of {', '.join((*SAFETENSORS, BFLOAT16))}")
    dtype = np.dtype("<u2" if kind == BFLOAT16 else SAFETENSORS[kind])
    n_bytes = dtype.itemsize * math.prod(shape)
    if min(shape, default=1) < 0 or first < 0 or end - first != n_bytes or start + end > size:
        raise InputError(f"{shown_as} is damaged: it has another size than the header says; fetch it again")
    if n_bytes == 0:
        return StoredArray(shown_as, shape, dtype, lambda: iter(()))
    content = np.memmap(path, dtype, "r", start + first, shape)
    stored = sliced(shown_as, content)
    if kind != BFLOAT16:
        return stored

    def blocks() -> Blocks:
        for rows, block in stored.blocks():
            yield rows, (block.astype(np.uint32) << 16).view(np.float32)

    return StoredArray(shown_as, shape, np.dtype(np.float32), blocks)


def _npz_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> StoredArray:
    """Return an array of an archive, which is decompressed as a stream, without a second copy in memory."""
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
