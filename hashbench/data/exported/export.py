"""Exports a data set's protocol: a folder that is written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from hashbench.data.dataset import Dataset
from hashbench.data.exported.content import (
    IMAGES,
    images_sha256,
    json_bytes,
    write_array,
    write_bytes,
    write_images,
    write_lists,
)
from hashbench.data.exported.manifest import FORMAT, MANIFEST, PARTS, Manifest, order_sha256, read_manifest
from hashbench.data.exported.readme import README, readme
from hashbench.data.images import EncodedImages
from hashbench.errors import InputError
from hashbench.files.hashing import sha256
from hashbench.files.writing import as_input_error
from hashbench.progress import to_stderr

FORMS = ("npy", "png", "files", "none")
"""How images are exported."""
LOCK = "lock"
"""What is held in the folder while it is written."""


def export(dataset: Dataset, out: Path, images: str | None = None, reading: str = "") -> tuple[Manifest, bool]:
    """Write a data set's parts, labels and items into a folder, with a manifest and a page that explains them.

    Parameters
    ----------
    dataset : Dataset
    out : Path
        The folder; it appears whole or not at all.
    images : {"npy", "png", "files", "none"}, optional
        How images are written: one array, PNG files of their pixels, the files as they are, or not at all. By default
        an array where all have one size; where sizes differ, not at all if the images have names, else the files.
    reading : str
        `LoadOptions.reading`, for the manifest.

    Returns
    -------
    manifest : Manifest
    is_new : bool
        False where the folder holds the same export already.

    Raises
    ------
    InputError
        The folder holds something else, the images cannot be written in that form, or the disk is full.
    """
    form = _form(dataset, images)
    manifest = _manifest(dataset, form, reading)
    out = out.resolve()
    refuse_occupied(out)
    if (out / MANIFEST).exists():
        return _kept(out, manifest), False
    with as_input_error(out), _temporary(out) as temporary:
        manifest["files"] = _write(dataset, temporary, form)
        page = readme(dataset, manifest).encode()
        manifest["files"][README] = write_bytes(temporary / README, [page])
        (temporary / MANIFEST).write_bytes(json_bytes(manifest))
        with suppress(FileNotFoundError):
            out.rmdir()
        temporary.rename(out)
        (out / LOCK).unlink()
    return manifest, True


@contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    """Make the folder that is renamed when it is whole; what a killed export left in it is removed.

    Its lock lies in it, so that nothing stays beside the export.
    """
    temporary = out.with_name(f".{out.name}.export")
    temporary.mkdir(parents=True, exist_ok=True)
    lock = FileLock(temporary / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"-o {out}: another process exports to it") from None
    try:
        for left in temporary.iterdir():
            if left.name != LOCK:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        lock.release()


def refuse_occupied(out: Path) -> None:
    """Raise unless a folder is empty, can be made, or holds an exported protocol.

    Raises
    ------
    InputError
        It is a file, or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"-o {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise InputError(f"-o {out} is not empty, and holds no exported protocol; name another folder")


def _form(dataset: Dataset, asked: str | None) -> str:
    """Return how the images are written."""
    images = dataset.images
    if images is None:
        if asked not in (None, "none"):
            raise InputError(f"--images {asked}: {dataset.name} has vectors and no images; leave it out")
        return "none"
    if isinstance(images, EncodedImages):
        if asked == "npy":
            raise InputError(f"--images npy: {dataset.name} has images of many sizes; choose png, files or none")
        if asked == "files" and dataset.look.key:
            chosen = ", ".join(f"--{name.replace('_', '-')}" for name in dataset.look.key)
            raise InputError(f"--images files: {chosen} changes these images' pixels; choose png")
        return asked or ("files" if dataset.names is None else "none")
    if asked == "files":
        raise InputError(
            f"--images files: {dataset.name} keeps images of one size as an array; choose npy, png or none"
        )
    return asked or "npy"


def _manifest(dataset: Dataset, form: str, reading: str) -> Manifest:
    labels, protocol = dataset.labels, dataset.protocol
    return {
        "format": FORMAT,
        "hashbench": version("hashbench"),
        "dataset": dataset.name,
        "protocol": protocol.name,
        "protocol_sha256": protocol.hash,
        "split": protocol.split,
        "metrics": list(protocol.metrics),
        "reading": reading,
        "provenance": dataset.provenance,
        "n_items": len(dataset),
        "items_sha256": dataset.data_fingerprint,
        "data_sha256": dataset.fingerprint,
        "relevance": "neighbors" if labels is None else "labels" if labels.ndim == 2 else "classes",
        "label_names": list(map(str, dataset.label_names)),
        "images": form,  # type: ignore[typeddict-item]
        "parts": {
            part: {"n": len(rows), "order_sha256": order_sha256(rows)}  # type: ignore[misc]
            for part, rows in ((part, getattr(dataset.split, part)) for part in PARTS)
        },
        "files": {},
    }


def _kept(out: Path, manifest: Manifest) -> Manifest:
    """Return the manifest of a folder that holds the same export, whose files are as they were written."""
    there = read_manifest(out)
    other = [name for name, value in manifest.items() if name not in ("files", "hashbench") and there[name] != value]  # type: ignore[literal-required]
    if other:
        raise InputError(f"-o {out} holds another export (it differs in {', '.join(other)}); name another folder")
    for name, checksum in there["files"].items():
        try:
            same = (images_sha256(out / name) if name.endswith("/") else sha256(out / name)) == checksum
        except (OSError, InputError):
            same = False
        if not same:
            raise InputError(f"-o {out}: {name} is not as it was exported; remove the folder, or name another")
    return there


def _write(dataset: Dataset, folder: Path, form: str) -> dict[str, str]:
    """Write everything but the page and the manifest, and return the SHA-256 of each file."""
    arrays: dict[str, np.ndarray] = {part: np.asarray(getattr(dataset.split, part), "<i8") for part in PARTS}
    labels = dataset.labels
    if labels is not None:
        arrays |= {f"{part}_labels": labels[arrays[part]].astype("<i8" if labels.ndim == 1 else "u1") for part in PARTS}
    if dataset.neighbors is not None:
        arrays["neighbors"] = np.asarray(dataset.neighbors, "<i8")
    if dataset.features is not None:
        arrays["features"] = dataset.features
    if form == "npy":
        assert isinstance(dataset.images, np.ndarray)
        arrays["images"] = dataset.images
    sums = {f"{name}.npy": write_array(folder / f"{name}.npy", array) for name, array in arrays.items()}
    paths = dataset.names
    if form in ("png", "files"):
        assert dataset.images is not None
        (folder / IMAGES).mkdir()
        names, sums[f"{IMAGES}/"] = write_images(folder / IMAGES, dataset.images, form == "png")
        paths = [f"{IMAGES}/{name}" for name in names]
    elif isinstance(dataset.images, np.ndarray) and paths is None:
        width = len(str(len(dataset) - 1))
        paths = [f"{IMAGES}/{row:0{width}}.png" for row in range(len(dataset))]
    if labels is not None and paths is not None:
        cut = [path for path in paths if len(path.split()) != 1]
        if cut:
            to_stderr(
                f"{dataset.name}: no lists: {len(cut):,} of {len(paths):,} paths have spaces, {cut[0]!r:.100} the "
                "first, where DeepHash's and HashNet's loaders cut them; --images png writes copies without"
            )
        else:
            sums |= write_lists(folder, dataset, paths)
    return sums
