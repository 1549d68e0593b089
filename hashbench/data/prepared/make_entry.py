"""Prepares data: what a data set plugin reads is written to the cache once, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.images import EncodedImages, ImageFiles
from hashbench.data.items import Items, fingerprint_of, raw_items
from hashbench.data.options import LoadOptions
from hashbench.data.plugin import HashDataset, read_items
from hashbench.data.prepared.content_order import in_content_order
from hashbench.data.prepared.entries import ARRAYS, FORMAT, MANIFEST, NAMES, TEXTS, Entry, entries, locked, read_entry
from hashbench.data.prepared.equal_items import equal_items
from hashbench.data.prepared.stamp import sources, stamp
from hashbench.data.prepared.write_images import write_images
from hashbench.errors import InputError
from hashbench.files.arrays import store_array
from hashbench.files.hashing import sha256
from hashbench.files.source import hash_class
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.guard.plugin_code import asking
from hashbench.progress import to_stderr


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
    if plugin.embedded:
        raise InputError(f"{plugin.name} brings its data along: there is nothing to prepare")
    entry = _find(plugin, options, cache_dir, _watched(plugin, options, cache_dir))
    if entry is not None:
        return entry, False
    with locked(cache_dir, plugin.name, "prepares it"):
        watched = _watched(plugin, options, cache_dir)  # while this process waited, files may have changed
        entry = _find(plugin, options, cache_dir, watched)  # and another may have made the entry
        return (entry, False) if entry is not None else (_make(plugin, options, cache_dir, watched), True)


def _directory(plugin: HashDataset, options: LoadOptions, cache_dir: Path) -> Path | None:
    """Return where the files are, or will be once they are downloaded; None where the plugin finds them itself."""
    if options.data_dir is None and options.download:
        return cache_dir / "downloads" / plugin.name
    return options.data_dir


def _watched(plugin: HashDataset, options: LoadOptions, cache_dir: Path) -> dict[str, Any]:
    """Return which files decide whether prepared data is still theirs, and what they look like."""
    directory = _directory(plugin, options, cache_dir)
    if directory is not None and directory.is_file():
        directory = plugin.watched(directory)
    looks = sources(directory, plugin.files, cache_dir)
    return {"watched": None if directory is None else str(directory), "files": list(plugin.files), "sources": looks}


def _folder(
    plugin: HashDataset, options: LoadOptions, cache_dir: Path, watched: dict[str, Any], skip_broken: bool
) -> Path:
    """Return where the entry of files that look so is."""
    directory = _directory(plugin, options, cache_dir)
    how = f"{hash_class(type(plugin))} format {FORMAT}{' without broken images' if skip_broken else ''}"
    how += f" reading {options.reading}" if options.reading else ""
    how += f" from {directory.name}" if directory is not None and directory.is_file() else ""
    where = None if watched["watched"] is None else Path(watched["watched"])
    short_stamp = stamp(plugin.name, how, where, watched["sources"])[:12]
    return cache_dir / "datasets" / f"{plugin.name}-{short_stamp}"


def _find(plugin: HashDataset, options: LoadOptions, cache_dir: Path, watched: dict[str, Any]) -> Entry | None:
    """Return the entry of these very files; one that was made without leaving anything out serves both ways."""
    directory = _directory(plugin, options, cache_dir)
    if directory is not None and not directory.exists():
        return None
    whole = read_entry(_folder(plugin, options, cache_dir, watched, skip_broken=False))
    if whole is not None or not options.skip_broken:
        return whole
    return read_entry(_folder(plugin, options, cache_dir, watched, skip_broken=True))


def _make(plugin: HashDataset, options: LoadOptions, cache_dir: Path, watched: dict[str, Any]) -> Entry:
    """Read the data and write its entry; the lock is held."""
    origin = _directory(plugin, options, cache_dir)
    where = None if origin is None else str(origin.resolve())
    wanted = (where, options.reading)
    known = entries(cache_dir, plugin.name)
    older = [entry for entry in known if (entry.manifest["from"], entry.manifest.get("reading", "")) == wanted]
    if older:
        to_stderr(
            f"{plugin.name}: its files or its plugin have changed since they were prepared, or broken images are "
            f"treated otherwise; they are prepared anew (hashbench data remove {older[0].folder.name} frees the old)"
        )
    items = read_items(plugin, options)
    if options.download:  # the files may have come only now
        watched = _watched(plugin, options, cache_dir)
    folder = _folder(plugin, options, cache_dir, watched, options.skip_broken)
    partial = folder.with_name(f".{folder.name}")
    try:
        with as_input_error(cache_dir, "--cache-dir"):
            partial.mkdir()
            with asking(plugin, "what read returned cannot be used: preparing it", passed_on=(OSError,)):
                manifest = _write(items, partial, plugin, options.skip_broken)
            manifest |= {"from": where, **watched}
            manifest |= {"reading": options.reading} if options.reading else {}
            write_atomically(partial / MANIFEST, json.dumps(manifest, indent=1).encode())
            _fsync(partial)
            shutil.rmtree(folder, ignore_errors=True)  # there if its manifest is damaged
            partial.rename(folder)
            _fsync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if manifest["left_out"]:
        to_stderr(
            f"{plugin.name}: {len(manifest['left_out']):,} broken or missing images are left out, first: "
            f"{manifest['reasons'][0]}; all are listed in {folder / MANIFEST}"
        )
    return Entry(folder, manifest)


def _write(items: Items, folder: Path, plugin: HashDataset, skip_broken: bool) -> dict[str, Any]:
    """Write the arrays of an entry and return its manifest."""
    if isinstance(items.images, ImageFiles):
        images, broken, look = write_images(items.images, folder, plugin.name, skip_broken)
        items = replace(_without(items, broken, plugin.name), images=images, look=look)
        reasons = list(broken.values())
    else:
        reasons = []
    _check(items, plugin.name)
    if plugin.set_sha256:
        items = _ordered(items, plugin)
    arrays = {name: getattr(items, name) for name in ARRAYS}
    if isinstance(items.images, EncodedImages):
        arrays |= {name: getattr(items.images, name) for name in ("data", "offsets", "sizes")}
    else:
        arrays["images"] = items.images
    for number, rows in enumerate(items.parts.values()):
        arrays[f"part-{number}"] = np.asarray(rows, np.int64)
    with ThreadPoolExecutor(1) as executor:  # hashing leaves Python's lock
        digest = executor.submit(fingerprint_of, raw_items(items))
        arrays["equal"] = equal_items(raw_items(items))
        described = {name: store_array(array, folder, name) for name, array in arrays.items() if array is not None}
    manifest = {
        "format": FORMAT,
        "dataset": plugin.name,
        "plugin": hash_class(type(plugin)),
        "n_items": len(items),
        "date": datetime.now(UTC).isoformat(timespec="microseconds"),
        "skip_broken": skip_broken,
        "source": plugin.source,
        "licence": plugin.licence,
        **{name: getattr(items, name) for name in TEXTS},
        "sha256": digest.result(),
        "arrays": described,
        **_about_labels(items.labels),
        **items.look.key,
        **({"centred": True} if items.centred else {}),
        "read_as": items.read_as,
        **{name: list(getattr(items, name)) for name in ("notes", "passed_over") if getattr(items, name)},
        "label_names": [str(name) for name in items.label_names],
        "parts": list(items.parts),
        "left_out": list(items.left_out),
        "reasons": reasons,
    }
    if items.names is not None:
        write_atomically(folder / NAMES, json.dumps(list(items.names)).encode())
        manifest["names_sha256"] = sha256(folder / NAMES)
    return manifest


def _ordered(items: Items, plugin: HashDataset) -> Items:
    """Return the items in their order by content; official if they are the publisher's set."""
    items, checksum = in_content_order(items)
    if checksum == plugin.set_sha256:
        return replace(items, provenance="official")
    to_stderr(
        f"{plugin.name}: the data is marked as a copy: it is not the publisher's set, some pixels or labels differ, or "
        f"images are there twice (SHA-256 {checksum}, the publisher's is {plugin.set_sha256[:16]}…)"
    )
    return replace(items, provenance="copy (not the publisher's set)")


def _without(items: Items, broken: dict[int, str], name: str) -> Items:
    """Return the items without some rows, in all that is said of them."""
    if not broken:
        return items
    if items.neighbors is not None:
        raise InputError(
            f"{name}: no image can be left out of data with true neighbours: {next(iter(broken.values()))}"
        )
    assert isinstance(items.images, ImageFiles)
    kept = np.ones(len(items.images), bool)
    kept[list(broken)] = False
    new_row = np.cumsum(kept) - 1
    return replace(
        items,
        labels=None if items.labels is None else items.labels[kept],
        parts={part: new_row[rows[kept[rows]]] for part, rows in items.parts.items()},
        names=None if items.names is None else [items.names[row] for row in np.flatnonzero(kept).tolist()],
        left_out=[items.names[row] if items.names is not None else items.images.shown_as[row] for row in broken],
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


def _about_labels(labels: np.ndarray | None) -> dict[str, list[int]]:
    """Return the range of the labels, or of the number of labels that an item has."""
    if labels is None or not len(labels):
        return {}
    if labels.ndim == 1:
        return {"label_range": [int(labels.min()), int(labels.max())]}
    counts = labels.sum(axis=1)
    return {"labels_per_item": [int(counts.min()), int(counts.max())]}


def _fsync(folder: Path) -> None:
    """Make a folder's names durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
