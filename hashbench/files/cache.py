"""Arrays on disk that grow row by row and survive a kill: what was computed once is never computed again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory, write_atomically

ENVIRONMENT_VARIABLE = "HASHBENCH_CACHE"


def cache_directory(given: Path | None) -> Path:
    """Return the cache directory: the option, the environment variable, or the user's own.

    Raises
    ------
    InputError
        It cannot be created or written to.
    """
    directory = given or Path(
        os.environ.get(ENVIRONMENT_VARIABLE) or platformdirs.user_cache_dir("hashbench", appauthor=False)
    )
    return writable_directory(directory, "--cache-dir")


class GrowingArray:
    """An array on disk, appended to in steps of whole rows; a killed writer loses at most its last step.

    ``data.bin`` holds the rows, ``manifest.json`` says how many of them are whole, how long they took, and
    what they are.

    Parameters
    ----------
    directory : Path
        The entry's own directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = directory / "data.bin"
        self._manifest = directory / "manifest.json"

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest, or None where there is no usable entry yet."""
        try:
            manifest = json.loads(self._manifest.read_text())
            row_bytes = np.dtype(manifest["dtype"]).itemsize * int(np.prod(manifest["row_shape"]))
            return manifest if self._data.stat().st_size >= manifest["rows"] * row_bytes else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

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
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self.directory / "lock"):
            manifest = self.manifest()
            if manifest is None:
                manifest = {"rows": 0, "seconds": 0.0, **describe}
                self._data.unlink(missing_ok=True)
            while manifest["rows"] < rows:
                started = time.perf_counter()
                block = np.ascontiguousarray(step(manifest["rows"]))
                manifest["seconds"] += time.perf_counter() - started
                manifest["dtype"], manifest["row_shape"] = block.dtype.str, list(block.shape[1:])
                self._append(block, manifest["rows"])
                manifest["rows"] += len(block)
                write_atomically(self._manifest, json.dumps(manifest, indent=1).encode())
        shape = (rows, *manifest["row_shape"])
        return np.memmap(self._data, dtype=manifest["dtype"], mode="r", shape=shape), manifest

    def _append(self, block: np.ndarray, rows: int) -> None:
        row_bytes = block.dtype.itemsize * int(np.prod(block.shape[1:]))
        try:
            with self._data.open("r+b" if self._data.exists() else "wb") as stream:
                stream.truncate(rows * row_bytes)
                stream.seek(0, os.SEEK_END)
                stream.write(block.data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise InputError(f"the cache {self.directory} cannot be written ({error.strerror})") from error
