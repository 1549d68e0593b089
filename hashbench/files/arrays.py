"""Arrays as plain files: stored with checksums, memory-mapped, shared with other processes by name."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from hashbench.errors import InputError
from hashbench.files.hashing import sha256
from hashbench.files.schema import Count


def open_npy(path: Path) -> np.ndarray:
    """Memory-map a .npy file, read-only.

    Raises
    ------
    InputError
        The file is damaged, holds Python objects, or holds no item.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a readable .npy array ({error})") from error
    if 0 in array.shape:
        raise InputError(f"{path} has shape {array.shape}: there is nothing in it")
    return array


STEP = 2**24


class StoredArray(TypedDict):
    """The description of a stored array; where the array stays in somebody else's file, also which and where in it."""

    dtype: str
    shape: list[Count]
    bytes: Count
    sha256: str
    file: NotRequired[str]
    offset: NotRequired[Count]
    mtime_ns: NotRequired[Count]
    ctime_ns: NotRequired[Count]
    inode: NotRequired[Count]


def store_array(array: np.ndarray, folder: Path, name: str) -> dict[str, Any]:
    """Write an array as ``<name>.bin`` and return its description.

    One that is the memory-map of a whole file stays where it is: the description then says where that is.
    """
    file = folder / f"{name}.bin"
    facts: dict[str, Any] = {"dtype": array.dtype.str, "shape": list(array.shape)}
    mapped, offset = _mapped_file(array)
    if mapped is not None and mapped != file.resolve():
        status = mapped.stat()
        facts |= {"file": str(mapped), "offset": offset, **_seen(status)}
        return {**facts, "bytes": status.st_size, "sha256": sha256(mapped)}
    if mapped is None:
        with file.open("wb") as stream:
            for start in range(0, len(array), _rows_at_once(array)):
                stream.write(np.ascontiguousarray(array[start : start + _rows_at_once(array)]).data)
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return {**facts, "bytes": file.stat().st_size, "sha256": sha256(file)}


def open_array(facts: dict[str, Any], folder: Path, name: str, in_memory: bool = False) -> np.ndarray:
    """Return an array that was stored, read-only and memory-mapped, or read into memory.

    Raises
    ------
    InputError
        The file is missing, its size has changed, or it is outside the folder and its content has changed (it is
        hashed again where its times or inode differ).
    """
    file, shape = _file(facts, folder, name), tuple(facts["shape"])
    try:
        status = file.stat()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error
    if status.st_size != facts["bytes"]:
        raise InputError(
            f"{file} is not as it was: {status.st_size:,} bytes, of which {facts['bytes']:,} were expected"
        )
    touched = any(facts.get(name, value) != value for name, value in _seen(status).items())
    if touched and sha256(file) != facts["sha256"]:
        raise InputError(f"{file} was written to after it was prepared")
    if in_memory or math.prod(shape) == 0:
        return np.fromfile(file, facts["dtype"]).reshape(shape)
    return np.memmap(file, facts["dtype"], "r", facts.get("offset", 0), shape)


def verify_array(facts: dict[str, Any], folder: Path, name: str) -> None:
    """Hash an array's file again.

    Raises
    ------
    InputError
        The file is missing or its content has changed.
    """
    open_array(facts, folder, name)
    file = _file(facts, folder, name)
    if sha256(file) != facts["sha256"]:
        raise InputError(f"{file} has changed: its SHA-256 is not the one in manifest.json")


def _seen(status: os.stat_result) -> dict[str, int]:
    """Return what tells a file from another one of its size that has taken its place."""
    return {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns, "inode": status.st_ino}


def _file(facts: dict[str, Any], folder: Path, name: str) -> Path:
    return Path(facts["file"]) if "file" in facts else folder / f"{name}.bin"


def _rows_at_once(array: np.ndarray) -> int:
    return max(1, STEP // max(1, array.dtype.itemsize * math.prod(array.shape[1:])))


def _mapped_file(array: np.ndarray) -> tuple[Path | None, int]:
    """Return the file that an array is the whole memory-map of, and where in it that begins; None for all else."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or not array.flags.c_contiguous:
        return None, 0
    return (None if array.filename is None else Path(array.filename).resolve()), int(array.offset)


class SharedArray:
    """An array that pickles as a file's name and an offset where it is a view of a memory-map, else as it is.

    Parameters
    ----------
    array : ndarray
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Find the memory-map below the array, and where in it the array begins."""
        root: Any = self.array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap) or min(self.array.strides, default=0) < 0:
            return SharedArray, (np.array(self.array),)
        offset = root.offset + self.array.ctypes.data - root.ctypes.data
        return _open, (root.filename, self.array.dtype.str, self.array.shape, offset, self.array.strides)


def portable(value: Any) -> Any:
    """Return what to send another process in place of an array; all else, which knows itself, as it is."""
    return SharedArray(value) if isinstance(value, np.ndarray) else value


def received(value: Any) -> Any:
    """Return what `portable` was given."""
    return value.array if isinstance(value, SharedArray) else value


def _open(file: Any, dtype: str, shape: tuple[int, ...], offset: int, strides: tuple[int, ...]) -> SharedArray:
    content = np.memmap(file, np.uint8, "r")
    return SharedArray(np.ndarray(shape, dtype, content, offset, strides))
