"""Prepared data: what a data set plugin reads is written to the cache once, and opened in milliseconds after that.

An entry is a folder ``datasets/<name>-<stamp>`` with a manifest and one plain file per array. It is written under
another name and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from hashbench.array_files import open_array, sha256, store_array, verify_array
from hashbench.cache import cache_directory, writable_directory, write_atomically
from hashbench.dataset import HashDataset, Items, LoadOptions, fingerprint_of
from hashbench.errors import InputError
from hashbench.images import EncodedImages, ImageFiles
from hashbench.prepare_images import write_images
from hashbench.progress import to_stderr
from hashbench.stamps import plugin_hash, stamp

FORMAT = 1
"""Raised whenever entries are written otherwise, so that none outlives its code."""
MANIFEST, NAMES = "manifest.json", "names.json"
ARRAYS = ("features", "labels", "neighbors")
TEXTS = tuple(field.name for field in fields(Items) if isinstance(field.default, str))
"""Attributes of `Items` that are text, and stand in the manifest as they are."""


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
            A file is missing or has another size.
        """
        manifest = self.manifest
        try:
            arrays = {
                name: open_array(facts, self.folder, name, in_memory=name not in ("images", "data", "features"))
                for name, facts in manifest["arrays"].items()
            }
        except InputError as error:
            raise self._damaged(error) from error
        images: np.ndarray | EncodedImages | None = arrays.get("images")
        if "data" in arrays:
            images = EncodedImages(arrays["data"], arrays["offsets"], arrays["sizes"])
        return Items(
            images=images,
            **{name: arrays.get(name) for name in ARRAYS},  # type: ignore[arg-type]
            **{name: manifest[name] for name in TEXTS},
            label_names=manifest["label_names"],
            parts={name: arrays[f"part-{number}"] for number, name in enumerate(manifest["parts"])},
            names=_Names(self.folder / NAMES, manifest["n_items"]) if "names_sha256" in manifest else None,
            left_out=manifest["left_out"],
        )

    def verify(self) -> None:
        """Hash every file again, and the items as a whole.

        Raises
        ------
        InputError
            Something is not as the manifest says.
        """
        raw = _raw(self.open())
        try:
            for name, facts in self.manifest["arrays"].items():
                verify_array(facts, self.folder, name)
            names = self.folder / NAMES
            if "names_sha256" in self.manifest and sha256(names) != self.manifest["names_sha256"]:
                raise InputError(f"{names} has changed: its SHA-256 is not the one in {MANIFEST}")
            if fingerprint_of(raw) != self.manifest["sha256"]:
                raise InputError(f"{self.folder / MANIFEST} has changed: the items have another SHA-256")
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


def load_items(plugin: HashDataset, options: LoadOptions) -> Items:
    """Return what a plugin reads, prepared, preparing it first where that was not done.

    With a data directory, an entry serves whose stamp its files still have. Without one, the newest entry of that
    name serves, wherever its files were; where there is none, the plugin looks for its files itself, and arrays that
    it returns are used as they are.

    Raises
    ------
    InputError
        The data is missing, incomplete or corrupt, or the cache cannot be written.
    """
    cache_dir = cache_directory(options.cache_dir)
    options = replace(options, cache_dir=cache_dir)
    if options.data_dir is None:
        newest = next(iter(entries(cache_dir, plugin.name)), None)
        if newest is not None and newest.manifest["plugin"] == plugin_hash(type(plugin)):
            return newest.open()
        if newest is not None:
            skip_broken = options.skip_broken or newest.manifest["skip_broken"]
            options = replace(options, data_dir=_origin(newest), skip_broken=skip_broken)
        elif not options.download:
            items = plugin.read(options)
            if not isinstance(items.images, ImageFiles):
                return items
    return prepare(plugin, options)[0].open()


def _origin(entry: Entry) -> Path:
    """Return where an entry came from, for data that must be read again."""
    if entry.manifest["from"] is None or not Path(entry.manifest["from"]).exists():
        raise InputError(
            f"{entry.folder} was prepared by another version of {entry.name}, and its files are no longer in "
            f"{entry.manifest['from']}: give --data-dir, or hashbench data prepare {entry.name} --from DIR"
        )
    return Path(entry.manifest["from"])


def prepare(plugin: HashDataset, options: LoadOptions) -> tuple[Entry, bool]:
    """Prepare a data set, unless that was done.

    Parameters
    ----------
    plugin : HashDataset
    options : LoadOptions
        Its ``cache_dir`` must be given.

    Returns
    -------
    entry : Entry
    is_new : bool
        Whether it had to be made.

    Raises
    ------
    InputError
        The data is missing, incomplete or corrupt, or the cache cannot be written.
    """
    cache_dir = options.cache_dir
    assert cache_dir is not None
    if type(plugin).items is not HashDataset.items or type(plugin).load is not HashDataset.load:
        raise InputError(f"{plugin.name} brings its data along: there is nothing to prepare")
    found = _find(plugin, options, cache_dir)
    if found is not None:
        return found, False
    with _locked(cache_dir, plugin.name, "prepares it"):
        found = _find(plugin, options, cache_dir)
        return (found, False) if found is not None else (_make(plugin, options, cache_dir), True)


def _stamp(plugin: HashDataset, options: LoadOptions, cache_dir: Path, skip_broken: bool) -> str:
    directory = options.data_dir
    if directory is None and options.download:
        directory = cache_dir / "downloads" / plugin.name
    source = f"{plugin_hash(type(plugin))} format {FORMAT}{' without broken images' if skip_broken else ''}"
    return stamp(plugin.name, source, directory, plugin.files, cache_dir)[:12]


def _find(plugin: HashDataset, options: LoadOptions, cache_dir: Path) -> Entry | None:
    """Return the entry of these very files; one that was made without leaving anything out serves both ways."""
    for skip_broken in (False, True)[: 1 + options.skip_broken]:
        entry = _read_entry(_folder(cache_dir, plugin, _stamp(plugin, options, cache_dir, skip_broken)))
        if entry is not None:
            return entry
    return None


def _folder(cache_dir: Path, plugin: HashDataset, short_stamp: str) -> Path:
    return cache_dir / "datasets" / f"{plugin.name}-{short_stamp}"


def _make(plugin: HashDataset, options: LoadOptions, cache_dir: Path) -> Entry:
    """Read the data and write its entry; the lock is held."""
    for older in entries(cache_dir, plugin.name):
        if options.data_dir is not None and older.manifest["from"] == str(options.data_dir.resolve()):
            to_stderr(
                f"{plugin.name}: its files or its plugin have changed since they were prepared, or broken images are "
                f"treated otherwise; they are prepared anew (hashbench data remove {older.folder.name} frees the old)"
            )
    before = _stamp(plugin, options, cache_dir, options.skip_broken)
    items = plugin.read(options)
    if options.download:  # the files may have come only now
        before = _stamp(plugin, options, cache_dir, options.skip_broken)
    folder = _folder(cache_dir, plugin, before)
    partial = folder.with_name(f".{folder.name}")
    try:
        partial.mkdir()
        manifest = _write(items, partial, plugin, options)
        write_atomically(partial / MANIFEST, json.dumps(manifest, indent=1).encode())
        _fsync(partial)
        shutil.rmtree(folder, ignore_errors=True)  # there if its manifest is damaged
        partial.rename(folder)
        _fsync(folder.parent)
    except OSError as error:
        raise InputError(
            f"the cache {cache_dir} cannot be written ({error.strerror}); make room or name another with --cache-dir"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if manifest["left_out"]:
        left_out = manifest["left_out"]
        to_stderr(
            f"{plugin.name}: {len(left_out):,} broken or missing images are left out, first: {left_out[0]}; "
            f"all are listed in {folder / MANIFEST}"
        )
    return Entry(folder, manifest)


def _write(items: Items, folder: Path, plugin: HashDataset, options: LoadOptions) -> dict[str, Any]:
    """Write the arrays of an entry and return its manifest."""
    if isinstance(items.images, ImageFiles):
        images, broken = write_images(items.images, folder, plugin.name, options.skip_broken)
        items = replace(_without(items, broken, plugin.name), images=images)
    _check(items, plugin.name)
    arrays = {name: getattr(items, name) for name in ARRAYS}
    if isinstance(items.images, EncodedImages):
        arrays |= {name: getattr(items.images, name) for name in ("data", "offsets", "sizes")}
    else:
        arrays["images"] = items.images
    for number, rows in enumerate(items.parts.values()):
        arrays[f"part-{number}"] = np.asarray(rows, np.int64)
    with ThreadPoolExecutor(1) as beside:  # hashing leaves Python's lock
        digest = beside.submit(fingerprint_of, _raw(items))
        described = {name: store_array(array, folder, name) for name, array in arrays.items() if array is not None}
    manifest = {
        "format": FORMAT,
        "dataset": plugin.name,
        "plugin": plugin_hash(type(plugin)),
        "n_items": len(items),
        "date": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "from": None if options.data_dir is None else str(options.data_dir.resolve()),
        "skip_broken": options.skip_broken,
        "source": plugin.source,
        "licence": plugin.licence,
        **{name: getattr(items, name) for name in TEXTS},
        "sha256": digest.result(),
        "arrays": described,
        **_about_labels(items.labels),
        "label_names": [str(name) for name in items.label_names],
        "parts": list(items.parts),
        "left_out": list(items.left_out),
    }
    if items.names is not None:
        write_atomically(folder / NAMES, json.dumps(list(items.names)).encode())
        manifest["names_sha256"] = sha256(folder / NAMES)
    return manifest


def _without(items: Items, broken: dict[int, str], name: str) -> Items:
    """Return the items without some rows, in all that is said of them."""
    if not broken:
        return items
    if items.neighbors is not None:
        raise InputError(
            f"{name}: no image can be left out of data with true neighbours: {next(iter(broken.values()))}"
        )
    assert items.images is not None
    kept = np.ones(len(items.images), bool)
    kept[list(broken)] = False
    place = np.cumsum(kept) - 1
    return replace(
        items,
        labels=None if items.labels is None else items.labels[kept],
        parts={part: place[rows[kept[rows]]] for part, rows in items.parts.items()},
        names=None if items.names is None else [items.names[row] for row in np.flatnonzero(kept).tolist()],
        left_out=[*items.left_out, *broken.values()],
    )


def _check(items: Items, name: str) -> None:
    """Raise if a plugin's arrays do not fit together."""
    n = len(items)
    for what, count in (("labels", items.labels), ("names", items.names)):
        if count is not None and len(count) != n:
            raise InputError(f"{name}: {n:,} items but {len(count):,} {what}")
    for part, rows in items.parts.items():
        if len(rows) and not 0 <= np.min(rows) <= np.max(rows) < n:
            raise InputError(f"{name}: the part {part} has rows outside of the {n:,} items")


def _raw(items: Items) -> np.ndarray | EncodedImages:
    raw = items.images if items.images is not None else items.features
    assert raw is not None
    assert not isinstance(raw, ImageFiles)
    return raw


def _about_labels(labels: np.ndarray | None) -> dict[str, list[int]]:
    """Return the range of the labels, or of the number of labels that an item has."""
    if labels is None or not len(labels):
        return {}
    if labels.ndim == 1:
        return {"label_range": [int(labels.min()), int(labels.max())]}
    counts = labels.sum(axis=1)
    return {"labels_per_item": [int(counts.min()), int(counts.max())]}


def entries(cache_dir: Path, name: str | None = None) -> list[Entry]:
    """Return prepared data, the newest first.

    Parameters
    ----------
    cache_dir : Path
    name : str, optional
        Of a data set, or the folder name of one entry; all by default.
    """
    folder = cache_dir / "datasets"
    found = [_read_entry(path) for path in folder.iterdir()] if folder.is_dir() else []
    chosen = [entry for entry in found if entry is not None and name in (None, entry.name, entry.folder.name)]
    return sorted(chosen, key=lambda entry: (entry.manifest["date"], entry.folder.name), reverse=True)


def choose_entries(cache_dir: Path, name: str) -> list[Entry]:
    """Return the prepared data of a name.

    Raises
    ------
    InputError
        There is none.
    """
    found = entries(cache_dir, name)
    if not found:
        known = ", ".join(sorted({entry.name for entry in entries(cache_dir)})) or "nothing"
        raise InputError(f"{name} is not prepared in {cache_dir}; prepared: {known}")
    return found


def remove(cache_dir: Path, name: str) -> list[Entry]:
    """Remove prepared data and return what was removed.

    Raises
    ------
    InputError
        There is none of that name, or it cannot be removed.
    """
    found = choose_entries(cache_dir, name)
    with _locked(cache_dir, found[0].name, "works on it"):
        for entry in found:
            try:
                hidden = entry.folder.rename(entry.folder.with_name(f".{entry.folder.name}"))
                shutil.rmtree(hidden)
            except FileNotFoundError:
                continue  # another process was faster
            except OSError as error:
                raise InputError(f"{entry.folder} cannot be removed ({error.strerror})") from error
    return found


def _read_entry(folder: Path) -> Entry | None:
    """Return an entry, or None where there is none of this format."""
    if folder.name.startswith("."):
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return Entry(folder, manifest) if manifest["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _locked(cache_dir: Path, name: str, what: str) -> Iterator[None]:
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


def _fsync(folder: Path) -> None:
    """Make a folder's names durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
