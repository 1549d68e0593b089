"""What prepared data was made of: a stamp that changes when a source file or the plugin that reads it does."""

from __future__ import annotations

import contextlib
import fnmatch
import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import is_folder, walk
from hashbench.files.source import hash_source


def stamp(name: str, plugin: str, directory: Path | None, patterns: Sequence[str], cache_dir: Path) -> str:
    """Return the SHA-256 of a data set's source files as they look from outside, without reading them.

    Parameters
    ----------
    name : str
        The data set's.
    plugin : str
        What `plugin_hash` returned.
    directory : Path or None
        The data directory, or one file; None stands for data that its plugin finds by itself.
    patterns : sequence of str
        `HashDataset.files`: which files and folders of the directory belong to it.
    cache_dir : Path
        Passed over where it lies in the directory, as hidden files are.
    """
    files: list[tuple[str, int, int]] = []
    if directory is not None and directory.is_dir():
        files = sorted(_files(directory, patterns, cache_dir.resolve()))
    elif directory is not None and directory.exists():
        status = directory.stat()
        files = [(directory.name, status.st_size, status.st_mtime_ns)]
    return canonical_hash([name, plugin, None if directory is None else str(directory.resolve()), files])


def plugin_hash(plugin: type) -> str:
    """Return the SHA-256 of a plugin's source; empty for a class that has no file."""
    try:
        return hash_source(Path(inspect.getfile(plugin)))
    except (OSError, TypeError, SyntaxError):
        return ""


def _files(directory: Path, patterns: Sequence[str], excluded: Path) -> Iterator[tuple[str, int, int]]:
    """Yield relative name, size and time of change of the files; what cannot be looked at is passed over."""

    def counts(name: str, entry: os.DirEntry[str]) -> bool:
        if "/" not in name and not _matches(name, patterns):
            return False
        return not is_folder(entry) or Path(entry.path).resolve() != excluded

    for name, entry in walk(directory, lambda folder, error: None, counts):
        with contextlib.suppress(OSError):  # a link that leads nowhere
            status = entry.stat()
            yield name, status.st_size, status.st_mtime_ns


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
