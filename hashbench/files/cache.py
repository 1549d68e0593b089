"""Arrays on disk that grow row by row and survive a kill: what was computed once is never computed again."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
import platformdirs
from filelock import FileLock
from msgspec import Meta

from hashbench.errors import InputError
from hashbench.files.schema import Count, Positive, checked, decoded
from hashbench.files.writing import as_input_error, writable_directory, write_atomically
from hashbench.options import home_expanded

ENVIRONMENT_VARIABLE = "HASHBENCH_CACHE"
ROW_AXES = {"features": 1, "views": 2, "neighbors": 1}
"""Folders of the cache that hold growing arrays, and how many axes a row has in each."""
BLOCK_BYTES = 2**24


class Step(TypedDict):
    """Rows that were appended at once."""

    first: Count
    rows: Count
    sha256: str


class Begun(TypedDict):
    """What a manifest says before there are rows."""

    rows: Annotated[int, Meta(ge=0, le=0)]
    seconds: float


class Manifest(TypedDict):
    """What a manifest says once there are rows."""

    rows: Positive
    seconds: float
    dtype: Annotated[str, Meta(pattern=r"^[<>|][biuf][0-9]{1,2}\Z")]
    row_shape: Annotated[list[Positive], Meta(min_length=1)]
    steps: NotRequired[list[Step]]


def cache_directory(given: Path | None) -> Path:
    """Return the cache directory: the option, the environment variable, or the user's own.

    Raises
    ------
    InputError
        The directory cannot be created or written to.
    """
    directory = given or home_expanded(
        os.environ.get(ENVIRONMENT_VARIABLE) or platformdirs.user_cache_dir("hashbench", appauthor=False)
    )
    return writable_directory(directory, "--cache-dir")


class GrowingArray:
    """An array on disk, appended to in steps of whole rows; a killed writer loses at most its last step.

    ``data.bin`` holds the rows, ``manifest.json`` says how many of them are whole, how long they took, what they
    are, and each step's SHA-256.

    Parameters
    ----------
    directory : Path
        The entry's directory. The folder around it, one of `ROW_AXES`, says how many axes a row has.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = directory / "data.bin"
        self._manifest = directory / "manifest.json"

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest, or None where there is no usable entry yet."""
        try:
            manifest = decoded(self._manifest.read_bytes())
            checked(manifest, Manifest if manifest.get("rows") else Begun)
            if manifest["rows"] and len(manifest["row_shape"]) != self._row_axes(manifest):
                return None
            whole = manifest["rows"] * _row_bytes(manifest) if manifest["rows"] else 0
            return manifest if self._data.stat().st_size >= whole else None
        except (OSError, ValueError, TypeError):
            return None

    def _row_axes(self, manifest: dict[str, Any]) -> int:
        return ROW_AXES.get(self.directory.parent.name, len(manifest["row_shape"]))

    @property
    def n_rows(self) -> int:
        """How many rows are there already."""
        return (self.manifest() or {"rows": 0})["rows"]

    def ensure(
        self, rows: int, step: Callable[[int], np.ndarray], describe: dict[str, Any]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the first ``rows`` rows, computing those that are not there yet.

        Parameters
        ----------
        rows : int
            How many rows are needed.
        step : callable
            ``step(first)`` computes the next rows from row ``first`` on.
        describe : dict
            JSON values for the manifest.

        Returns
        -------
        data : read-only memory-map of shape (rows, ...)
        manifest : dict
            With ``seconds``, the time that all its rows took to compute, and ``rows``.

        Raises
        ------
        InputError
            The entry cannot be written: the disk is full, say. The rows before the last step are kept.
        """
        lock = FileLock(self.directory / "lock")
        with as_input_error(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            manifest = self.manifest()
            if manifest is None:
                manifest = {"rows": 0, "seconds": 0.0, **describe}
                with as_input_error(self._data):
                    self._data.unlink(missing_ok=True)
            while manifest["rows"] < rows:
                manifest = self._grown(manifest, step)
        finally:
            lock.release()
        shape = (rows, *manifest["row_shape"])
        return np.memmap(self._data, dtype=manifest["dtype"], mode="r", shape=shape), manifest

    def _grown(self, manifest: dict[str, Any], step: Callable[[int], np.ndarray]) -> dict[str, Any]:
        """Append one more step and return the manifest that says so."""
        first, started = manifest["rows"], time.perf_counter()
        block = np.ascontiguousarray(step(first))
        seconds = manifest["seconds"] + time.perf_counter() - started
        written_step = {"first": first, "rows": len(block), "sha256": hashlib.sha256(block.data).hexdigest()}
        manifest = {
            **manifest,
            "rows": first + len(block),
            "seconds": seconds,
            "dtype": block.dtype.str,
            "row_shape": list(block.shape[1:]),
            "steps": [*manifest.get("steps", []), written_step],
        }
        self._append(block, first)
        with as_input_error(self._manifest):
            write_atomically(self._manifest, json.dumps(manifest, indent=1).encode())
        return manifest

    def _append(self, block: np.ndarray, first: int) -> None:
        """Write rows at row ``first``; where they do not fit, the file is as long as before."""
        start = first * block.dtype.itemsize * math.prod(block.shape[1:])
        with as_input_error(self._data), self._data.open("r+b" if self._data.exists() else "wb") as stream:
            stream.truncate(start)
            stream.seek(start)
            try:
                stream.write(block.data)
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                with suppress(OSError):
                    os.ftruncate(stream.fileno(), start)
                raise

    def problems(self) -> Iterator[str]:
        """Hash the rows again; yield what is wrong, a line each. Rows that were written without a checksum pass."""
        remedy = f"delete {self.directory}; it is computed again when it is needed"
        manifest = self.manifest()
        if manifest is None and not self._manifest.exists() and not self._data.exists():
            return  # nothing was computed: the first step was refused or killed
        if manifest is None:
            yield f"{self._manifest} is damaged, or does not fit its data; {remedy}"
            return
        for step in manifest.get("steps", []):
            first, rows = step["first"], step["rows"]
            if first + rows > manifest["rows"] or self._sha256(first, rows, _row_bytes(manifest)) != step["sha256"]:
                last = first + rows - 1
                yield f"{self._data}: rows {first} to {last} have another SHA-256 than when written; {remedy}"
                return

    def _sha256(self, first: int, rows: int, row_bytes: int) -> str:
        digest, left = hashlib.sha256(), rows * row_bytes
        with self._data.open("rb") as stream:
            stream.seek(first * row_bytes)
            while left > 0 and (content := stream.read(min(BLOCK_BYTES, left))):
                digest.update(content)
                left -= len(content)
        return digest.hexdigest()


def verify_cached(directory: Path) -> list[str]:
    """Hash every cached feature, view and neighbour again.

    Parameters
    ----------
    directory : Path
        The cache directory. Entries that are older than their checksums are taken as they are.

    Returns
    -------
    list of str
        A line for each damaged entry: what is wrong and what to delete; empty where all is well.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    problems: list[str] = []
    for folder in sorted(folder for kind in ROW_AXES for folder in (directory / kind).glob("*") if folder.is_dir()):
        try:
            problems += GrowingArray(folder).problems()
        except OSError as error:
            raise InputError(f"{folder} cannot be read ({error.strerror or error})") from error
    return problems


def _row_bytes(manifest: dict[str, Any]) -> int:
    """Return the bytes of a row.

    Raises
    ------
    TypeError
        The manifest does not name a numeric type.
    """
    return np.dtype(manifest["dtype"]).itemsize * math.prod(manifest["row_shape"])
