"""What prepared data was made of: a stamp that changes when a source file or the plugin that reads it does."""

from __future__ import annotations

import fnmatch
import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hashbench.protocol import canonical_hash
from hashbench.registry import hash_source


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
        files = sorted(_walk(directory, patterns, cache_dir.resolve()))
    elif directory is not None and directory.exists():
        found = directory.stat()
        files = [(directory.name, found.st_size, found.st_mtime_ns)]
    return canonical_hash([name, plugin, None if directory is None else str(directory.resolve()), files])


def plugin_hash(plugin: type) -> str:
    """Return the SHA-256 of a plugin's source; empty for a class that has no file."""
    try:
        return hash_source(Path(inspect.getfile(plugin)))
    except (OSError, TypeError, SyntaxError):
        return ""


def _walk(directory: Path, patterns: Sequence[str], excluded: Path) -> Iterator[tuple[str, int, int]]:
    """Yield relative path, size and time of change of the files; links are followed, each folder is entered once."""
    ahead, seen = [(str(directory), "")], set()
    while ahead:
        folder, prefix = ahead.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or not (prefix or _matches(entry.name, patterns)):
                continue
            try:
                found = entry.stat()
                if not entry.is_dir():
                    yield prefix + entry.name, found.st_size, found.st_mtime_ns
                elif (found.st_dev, found.st_ino) not in seen and Path(entry.path).resolve() != excluded:
                    seen.add((found.st_dev, found.st_ino))
                    ahead.append((entry.path, f"{prefix}{entry.name}/"))
            except OSError:  # a link that leads nowhere
                continue


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
