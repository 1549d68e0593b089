"""Prepared data on disk: entries of the cache that are opened in milliseconds, verified, listed, removed.

An entry is a folder ``datasets/<name>-<stamp>`` with a manifest and one plain file per array.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from filelock import FileLock, Timeout
from msgspec import Meta

from hashbench.data.images import EncodedImages
from hashbench.data.items import Items, fingerprint_of, raw_items
from hashbench.data.look import look_of_key
from hashbench.data.prepared.stamp import sources
from hashbench.errors import InputError
from hashbench.files.arrays import StoredArray, open_array, verify_array
from hashbench.files.hashing import sha256
from hashbench.files.schema import Count, Misfit, decoded
from hashbench.files.writing import writable_directory
from hashbench.progress import to_stderr

FORMAT = 4
"""Increased whenever the format of entries changes, so that none outlives its code."""
MANIFEST, NAMES = "manifest.json", "names.json"
ARRAYS = ("features", "labels", "neighbors")
TEXTS = ("similarity", "provenance", "sha256")
"""Attributes of `Items` that are text, and are in the manifest as they are."""


Sourced = TypedDict("Sourced", {"from": str | None})
"""What a class cannot say, as the key is a word of Python."""


class Manifest(Sourced):
    """What an entry's manifest says."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    dataset: str
    plugin: str
    n_items: Count
    date: str
    skip_broken: bool
    arrays: dict[str, StoredArray]
    label_names: list[str]
    parts: list[str]
    left_out: list[str]
    reasons: list[str]
    similarity: str
    provenance: str
    sha256: str
    names_sha256: NotRequired[str]
    reading: NotRequired[str]
    exif: NotRequired[bool]
    background: NotRequired[str]
    grey_range: NotRequired[str]
    notes: NotRequired[list[str]]
    read_as: NotRequired[str]
    passed_over: NotRequired[list[str]]
    centred: NotRequired[bool]
    watched: NotRequired[str | None]
    files: NotRequired[list[str]]
    sources: NotRequired[str]


@dataclass(frozen=True)
class Entry:
    """Prepared data on disk.

    Attributes
    ----------
    folder : Path
    manifest : dict
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.manifest["dataset"]

    @property
    def n_bytes(self) -> int:
        """What the entry takes on disk; arrays that stayed in the user's files do not count."""
        return sum(file.stat().st_size for file in self.folder.iterdir())

    def open(self) -> Items:
        """Return what was read, images and features memory-mapped.

        Raises
        ------
        InputError
            A file is missing or its size has changed.
        """
        try:
            return self._items()
        except InputError as error:
            raise self._damaged(error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(InputError(f"{self.folder / MANIFEST} is damaged")) from error

    def _items(self) -> Items:
        manifest = self.manifest
        arrays = {
            name: open_array(facts, self.folder, name, in_memory=name not in ("images", "data", "features"))
            for name, facts in manifest["arrays"].items()
        }
        look = look_of_key(manifest)
        images: np.ndarray | EncodedImages | None = arrays.get("images")
        if "data" in arrays:
            images = EncodedImages(arrays["data"], arrays["offsets"], arrays["sizes"], look)
        return Items(
            images=images,
            **{name: arrays.get(name) for name in ARRAYS},  # type: ignore[arg-type]
            **{name: manifest[name] for name in TEXTS},
            label_names=manifest["label_names"],
            parts={name: arrays[f"part-{number}"] for number, name in enumerate(manifest["parts"])},
            names=_Names(self.folder / NAMES, manifest["n_items"]) if "names_sha256" in manifest else None,
            left_out=manifest["left_out"],
            look=look,
            centred=manifest.get("centred", False),
            notes=manifest.get("notes", []),
            read_as=manifest.get("read_as", ""),
            passed_over=manifest.get("passed_over", []),
            equal=arrays.get("equal"),
        )

    def verify(self) -> None:
        """Hash every file again, and the items as a whole, and look at the files that it was made of.

        Raises
        ------
        InputError
            A file, the items or the manifest have changed since they were written.
        """
        watched = self.manifest.get("watched")
        where = None if watched is None else Path(watched)
        raw = raw_items(self.open())
        try:
            for name, facts in self.manifest["arrays"].items():
                verify_array(facts, self.folder, name)
            names = self.folder / NAMES
            if "names_sha256" in self.manifest and sha256(names) != self.manifest["names_sha256"]:
                raise InputError(f"{names} has changed: its SHA-256 is not the one in {MANIFEST}")
            if fingerprint_of(raw) != self.manifest["sha256"]:
                raise InputError(f"{self.folder / MANIFEST} has changed: the items have another SHA-256")
            if where is not None and where.exists():
                looks = sources(where, self.manifest.get("files", []), self.folder.parent.parent)
                if looks != self.manifest.get("sources"):
                    raise InputError(f"{where} has changed since it was prepared: what is here was made of older files")
        except InputError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: InputError) -> InputError:
        return InputError(f"{error}; remove the prepared data with: hashbench data remove {self.folder.name}")


class _Names(Sequence[str]):
    """Names of the items, read when the first is asked for."""

    def __init__(self, file: Path, n_items: int) -> None:
        self.file, self.n_items = file, n_items

    @cached_property
    def _names(self) -> list[str]:
        try:
            return json.loads(self.file.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{self.file} cannot be read ({error}); hashbench data verify says more") from error

    def __len__(self) -> int:
        return self.n_items

    def __getitem__(self, row):
        return self._names[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


def entries(cache_dir: Path, name: str | None = None) -> list[Entry]:
    """Return prepared data, the newest first.

    Parameters
    ----------
    cache_dir : Path
    name : str, optional
        Of a data set, or the folder name of one entry; all by default.
    """
    folder = cache_dir / "datasets"
    usable = [read_entry(path) for path in folder.iterdir()] if folder.is_dir() else []
    chosen = [entry for entry in usable if entry is not None and name in (None, entry.name, entry.folder.name)]
    return sorted(chosen, key=lambda entry: (entry.manifest["date"], entry.folder.name), reverse=True)


def choose_entries(cache_dir: Path, name: str) -> list[Entry]:
    """Return the prepared data of a name.

    Raises
    ------
    InputError
        No data of that name is prepared, or every entry of it is damaged or of another version.
    """
    chosen = entries(cache_dir, name)
    unusable = [] if chosen else _unusable(cache_dir, name)
    if unusable:
        folder = unusable[0].folder
        raise InputError(
            f"{name} is not prepared in {cache_dir}: {folder / MANIFEST} is damaged, or of another version; remove it "
            f"with: hashbench data remove {folder.name}"
        )
    if not chosen:
        known = ", ".join(sorted({entry.name for entry in entries(cache_dir)})) or "nothing"
        raise InputError(f"{name} is not prepared in {cache_dir}; prepared: {known}")
    return chosen


def remove(cache_dir: Path, name: str) -> list[Entry]:
    """Remove prepared data and return what was removed.

    Raises
    ------
    InputError
        No data of that name is prepared, or an entry cannot be removed.
    """
    unusable = _unusable(cache_dir, name)
    chosen = unusable + entries(cache_dir, name) if unusable else choose_entries(cache_dir, name)
    with locked(cache_dir, chosen[0].name, "works on it"):
        for entry in chosen:
            try:
                hidden = entry.folder.rename(entry.folder.with_name(f".{entry.folder.name}"))
                shutil.rmtree(hidden)
            except FileNotFoundError:
                continue  # another process was faster
            except OSError as error:
                raise InputError(f"{entry.folder} cannot be removed ({error.strerror})") from error
    return chosen


def _unusable(cache_dir: Path, name: str) -> list[Entry]:
    """Return the folders of a name whose manifest cannot be used."""
    unusable = []
    for folder in sorted((cache_dir / "datasets").glob("*-*")):
        dataset, _, stamp = folder.name.rpartition("-")
        if name in (dataset, folder.name) and re.fullmatch("[0-9a-f]{12}", stamp) and read_entry(folder) is None:
            unusable.append(Entry(folder, {"dataset": dataset}))
    return unusable


def read_entry(folder: Path) -> Entry | None:
    """Return an entry, or None where there is none of this format."""
    if folder.name.startswith("."):
        return None
    try:
        manifest = decoded((folder / MANIFEST).read_bytes(), Manifest)
    except (OSError, Misfit):
        return None
    # The name leads to the files of a lock and of other entries: it is the folder's own, or the entry is damaged.
    return Entry(folder, manifest) if folder.name.rpartition("-")[0] == manifest["dataset"] else None


@contextmanager
def locked(cache_dir: Path, name: str, what: str) -> Iterator[None]:
    """Hold the lock of a data set's entries; what a killed process left half-made is removed first."""
    folder = writable_directory(cache_dir / "datasets", "--cache-dir")
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        to_stderr(f"{name}: waiting for another process that {what}")
        lock.acquire()
    try:
        for path in folder.glob(f".{name}-*"):
            if re.fullmatch(rf"\.{re.escape(name)}-[0-9a-f]{{12}}", path.name):
                shutil.rmtree(path, ignore_errors=True)
        yield
    finally:
        lock.release()
