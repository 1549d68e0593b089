"""Reads idx files, the format of MNIST and the like: a header of sizes, then bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from hashbench.errors import InputError

UNSIGNED_BYTES = 0x08


def find_idx(folder: Path, name: str) -> Path | None:
    """Return the file of that name, plain before gzipped, or None where there is neither."""
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)


def read_idx(file: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Read an idx file of unsigned bytes.

    Parameters
    ----------
    file : Path
        Gzipped if its name ends in ``.gz``. No more than the shape needs is unpacked.
    shape : tuple of int
        What the file must hold.

    Returns
    -------
    array : ndarray of that shape, uint8
    md5 : str
        MD5 sum (hex) of the unpacked file, since publishers of idx files state MD5 sums.

    Raises
    ------
    InputError
        The file cannot be read, is no idx file, has another shape, is cut short, or goes on after its end.
    """
    start = 4 + 4 * len(shape)
    size = start + math.prod(shape)
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be read ({error}); fetch it again") from error
    magic = bytes([0, 0, UNSIGNED_BYTES, len(shape)])
    if content[:4] != magic:
        raise InputError(
            f"{file} begins with the bytes {content[:4].hex(' ') or 'of nothing'}, expected {magic.hex(' ')}: it is no "
            f"idx file of unsigned bytes in {len(shape)} dimensions"
        )
    stated = tuple(np.frombuffer(content[4:start], ">u4").tolist()) if len(content) >= start else ()
    if stated != shape:
        raise InputError(f"{file} holds {_sizes(stated)} values, expected {_sizes(shape)}: is it another part's file?")
    if len(content) < size:
        raise InputError(f"{file} is cut short: {len(content):,} bytes of {size:,}; fetch it again")
    if len(content) > size:
        raise InputError(f"{file} has more than the {size:,} bytes that its header says; fetch it again")
    array = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return array, hashlib.md5(content, usedforsecurity=False).hexdigest()


def _sizes(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape) or "no"
