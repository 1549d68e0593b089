"""Arrays as plain files that are memory-mapped, each described by dtype, shape, size and SHA-256."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import InputError

STEP = 2**24


def store_array(array: np.ndarray, folder: Path, name: str) -> dict[str, Any]:
    """Write an array as ``<name>.bin`` and return its description.

    One that is the memory-map of a whole file stays where it is: the description then says where that is.
    """
    file = folder / f"{name}.bin"
    facts: dict[str, Any] = {"dtype": array.dtype.str, "shape": list(array.shape)}
    mapped, offset = _mapped_file(array)
    if mapped is not None and mapped != file.resolve():
        found = mapped.stat()
        facts |= {"file": str(mapped), "offset": offset, "mtime_ns": found.st_mtime_ns}
        return {**facts, "bytes": found.st_size, "sha256": sha256(mapped)}
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
        Its file is missing, has another size, or is not the folder's own and has changed.
    """
    file, shape = _file(facts, folder, name), tuple(facts["shape"])
    try:
        found = file.stat()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error
    if found.st_size != facts["bytes"]:
        raise InputError(f"{file} is not as it was: {found.st_size:,} bytes, of which {facts['bytes']:,} were expected")
    if found.st_mtime_ns != facts.get("mtime_ns", found.st_mtime_ns):
        raise InputError(f"{file} was written to after it was prepared")
    if in_memory or math.prod(shape) == 0:
        return np.fromfile(file, facts["dtype"]).reshape(shape)
    return np.memmap(file, facts["dtype"], "r", facts.get("offset", 0), shape)


def verify_array(facts: dict[str, Any], folder: Path, name: str) -> None:
    """Hash an array's file again.

    Raises
    ------
    InputError
        It is missing or its content has changed.
    """
    open_array(facts, folder, name)
    file = _file(facts, folder, name)
    if sha256(file) != facts["sha256"]:
        raise InputError(f"{file} has changed: its SHA-256 is not the one in manifest.json")


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error


def _file(facts: dict[str, Any], folder: Path, name: str) -> Path:
    return Path(facts["file"]) if "file" in facts else folder / f"{name}.bin"


def _rows_at_once(array: np.ndarray) -> int:
    return max(1, STEP // max(1, array.dtype.itemsize * math.prod(array.shape[1:])))


def _mapped_file(array: np.ndarray) -> tuple[Path | None, int]:
    """Return the file that an array is the whole memory-map of, and its place in it; None for all else."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or not array.flags.c_contiguous:
        return None, 0
    return (None if array.filename is None else Path(array.filename).resolve()), int(array.offset)
