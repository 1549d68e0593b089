"""The stamp of prepared data: it changes when a source file or the plugin that reads it does."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash, sha256
from hashbench.files.paths import is_folder, walk

SMALL_BYTES, SMALL_FILES = 2**24, 64
"""Sources that have no more bytes and files together are read: their content counts, and no time."""
Looks = tuple[str, ...]
"""Relative name of a file, its size, and its SHA-256, or its times and inode."""


def sources(directory: Path | None, patterns: Sequence[str], cache_dir: Path) -> str:
    """Return the SHA-256 of what a data set's source files look like.

    Files that are small together count by their content. Of others, which would take long to read, the size, the times
    of the last change of content and of anything else, and the inode count: no tool that puts another file of the same
    size in the place of one can keep them all.

    Parameters
    ----------
    directory : Path or None
        The data directory, or one file; None means data that its plugin finds by itself.
    patterns : sequence of str
        `HashDataset.files`: which files and folders of the directory belong to it.
    cache_dir : Path
        Passed over where it is in the directory, as hidden files are.
    """
    if directory is None or not directory.exists():
        return canonical_hash([])
    found = [(directory.name, directory, directory.stat())]
    if directory.is_dir():
        found = sorted(_files(directory, patterns, cache_dir.resolve()), key=lambda one: one[0])
    small = len(found) <= SMALL_FILES and sum(status.st_size for *_, status in found) <= SMALL_BYTES
    return canonical_hash([_looks(*one, small) for one in found])


def stamp(name: str, plugin: str, directory: Path | None, sources: str) -> str:
    """Return the SHA-256 of all that decides what prepared data is.

    Parameters
    ----------
    name : str
        The data set's.
    plugin : str
        What `hashbench.files.source.hash_class` returned, and how the files are read.
    directory : Path or None
        The data directory, or one file.
    sources : str
        What `hashbench.data.prepared.stamp.sources` returned.
    """
    return canonical_hash([name, plugin, None if directory is None else str(directory.resolve()), sources])


def _looks(name: str, path: Path, status: os.stat_result, small: bool) -> Looks:
    """Return what a file looks like; one that cannot be read is left to its plugin, which says so."""
    if small and stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        with contextlib.suppress(InputError):
            return name, str(status.st_size), sha256(path)
    numbers = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return name, *map(str, numbers)


def _files(directory: Path, patterns: Sequence[str], excluded: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Yield relative name, path and status of the files; what cannot be looked at is passed over."""

    def counts(name: str, entry: os.DirEntry[str]) -> bool:
        if patterns and "/" not in name and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return False
        return not is_folder(entry) or Path(entry.path).resolve() != excluded

    for name, entry in walk(directory, lambda folder, error: None, counts):
        with contextlib.suppress(OSError):  # a link that leads nowhere
            yield name, Path(entry.path), entry.stat()
