"""Packed codes as .npy files, with the names of their rows, one a line, beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.errors import InputError
from hashbench.files.arrays import open_npy as open_array
from hashbench.files.paths import is_line
from hashbench.files.writing import atomic_stream, write_atomically


def names_path(path: Path) -> Path:
    """Return where the names of a code file's rows lie: ``codes.names.txt`` beside ``codes.npy``."""
    return path.with_suffix(".names.txt")


def write_codes(path: Path, codes: np.ndarray, names: list[str]) -> None:
    """Write codes and, where their rows have names, the names.

    Parameters
    ----------
    path : Path
        Ends in ``.npy``.
    codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
    names : list of str
        One per row, or none; then a list of names that lies beside older codes is taken away.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    try:
        # Names of other rows never stand beside the codes, wherever a kill falls.
        names_path(path).unlink(missing_ok=True)
        with atomic_stream(path) as stream:
            np.save(stream, codes)
        if names:
            write_atomically(names_path(path), "".join(f"{name}\n" for name in names).encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error})") from error


def read_codes(path: Path, n_bits: int) -> tuple[np.ndarray, list[str]]:
    """Return the codes of a file and the names of their rows, if those lie beside it.

    Parameters
    ----------
    path : Path
    n_bits : int
        Length that the codes must have.

    Returns
    -------
    codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
        Memory-mapped.
    names : list of str
        One per row, or none.

    Raises
    ------
    InputError
        The codes have another length, or the names are not theirs.
    """
    codes, width = open_array(path), -(-n_bits // 8)
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != width:
        raise InputError(
            f"{path} has shape {codes.shape} and dtype {codes.dtype}, codes of {n_bits} bits are (n, {width}) uint8"
        )
    if (codes[:, -1] & ((1 << (8 * width - n_bits)) - 1)).any():
        raise InputError(f"{path} holds codes of more than {n_bits} bits: encode them with the model that searches")
    return codes, _read_names(names_path(path), len(codes))


def _read_names(path: Path, n: int) -> list[str]:
    if not path.is_file():
        return []
    try:
        names = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable list of names ({error})") from error
    if len(names) != n or not all(map(is_line, names)):
        raise InputError(f"{path} is not a list of {n} names, one for each code; encode again or remove it")
    return names
