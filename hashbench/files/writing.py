"""Writing files whole or not at all, and making sure beforehand that it is possible."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hashbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 10
"""Significant digits of a number in a table: more than any measurement has, fewer than a sum's rounding reaches."""


def refuse_unwritable(directory: Path, option: str) -> None:
    """Make sure that a directory can be written to, or made, without leaving a trace.

    Parameters
    ----------
    directory : Path
        It may not exist yet; then the nearest directory above it that does is tried.
    option : str
        What names it on the command line.

    Raises
    ------
    InputError
        The directory cannot be written to.
    """
    there = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{option} {directory} cannot be written to ({error.strerror}); name another") from error


def writable_directory(directory: Path, option: str) -> Path:
    """Create a directory and make sure that it can be written to.

    Raises
    ------
    InputError
        The directory cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option} {directory} cannot be written to ({error.strerror}); name another") from error
    refuse_unwritable(directory, option)
    return directory


def writable_file(path: Path, option: str, suffix: str, inputs: Sequence[Path]) -> None:
    """Make sure that a file can be written, before the work that fills it.

    Parameters
    ----------
    path : Path
    option : str
        What names it on the command line.
    suffix : str
        What its name must end in, such as ``.npy``.
    inputs : sequence of Path
        What the same command reads: none of it may be overwritten.

    Raises
    ------
    InputError
        The file could not be written, or would replace a file that is read. Nothing was created.
    """
    if path.suffix.lower() != suffix:
        raise InputError(f"{option} {path}: expected a name that ends in {suffix}")
    if path.is_dir():
        raise InputError(f"{option} {path} is a directory; name a file")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no directory {path.parent}; make it or name another")
    for other in inputs:
        if path.exists() and other.exists() and path.samefile(other):
            raise InputError(f"{option} {path} is what is read; name another file")
    writable_directory(path.parent, option)


def refuse_full_disk(directory: Path, n_bytes: int, what: str) -> None:
    """Raise if something that is about to be written needs more room than the disk has.

    Parameters
    ----------
    directory : Path
        Where it is to be written, or will be made.
    n_bytes : int
        How much is still to be written.
    what : str
        What a message calls it.

    Raises
    ------
    InputError
        The disk has fewer free bytes than needed.
    """
    there = next((folder for folder in (directory, *directory.parents) if folder.is_dir()), directory)
    free = shutil.disk_usage(there).free
    if n_bytes > free:
        raise InputError(
            f"{what} need {_size(n_bytes)} more, {_size(free)} are free in {directory}; ask for fewer, "
            "make room, or name another disk with --cache-dir"
        )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.3f} MB"


@contextmanager
def as_input_error(path: Path, other: str = "folder") -> Iterator[None]:
    """Turn the system's refusal to write a file into one line: the file, why, and what to do.

    Parameters
    ----------
    path : Path
    other : str
        What to name another of: ``"folder"``, or an option.

    Raises
    ------
    InputError
        The disk is full, or the file cannot be written for another of the system's reasons.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}); make room or name another {other}"
        ) from error


@contextmanager
def atomic_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears whole or not at all: temporary file, fsync, rename.

    Raises
    ------
    OSError
        The file cannot be written; an older file is left as it was. `as_input_error` makes one line of the error.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with atomic_stream(path) as stream:
        stream.write(content)


def csv_safe(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def number_text(value: float) -> str:
    """Return a number with the digits that it has, at most `DIGITS`.

    Examples
    --------
    >>> number_text(0.6841999999999999), number_text(1 / 3), number_text(1.5e-30)
    ('0.6842', '0.3333333333', '1.5e-30')
    """
    return repr(float(f"{value:.{DIGITS}g}"))


def table_bytes(frame: pd.DataFrame) -> bytes:
    """Return a table as the content of a CSV file, its numbers as `number_text` writes them."""
    return frame.to_csv(index=False, lineterminator="\n", float_format=number_text).encode()
