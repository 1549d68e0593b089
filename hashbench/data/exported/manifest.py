"""The manifest of an exported protocol: what codes that come back are checked against."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
from msgspec import Meta

from hashbench.errors import InputError
from hashbench.files.schema import Misfit, Positive, Sha256, decoded

FORMAT = 1
"""Raised whenever exports are written otherwise."""
MANIFEST = "manifest.json"
PARTS = ("query", "train", "database")


class Part(TypedDict):
    """A part of the split: how many items, and the SHA-256 of their row numbers as little-endian int64."""

    n: Positive
    order_sha256: Sha256


class Manifest(TypedDict):
    """What was exported.

    ``protocol_sha256`` is `Protocol.hash`, ``items_sha256`` is `Dataset.data_fingerprint` and ``data_sha256`` is
    `Dataset.fingerprint`. ``reading`` names the options that decide how the user's files are read. ``files`` has the
    SHA-256 of each file by its name; that of ``images/`` is of the files in it, one after the other.
    """

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    hashbench: str
    dataset: str
    protocol: str
    protocol_sha256: Sha256
    split: str
    metrics: list[str]
    reading: str
    provenance: str
    n_items: Positive
    items_sha256: Sha256
    data_sha256: Sha256
    relevance: Literal["classes", "labels", "neighbors"]
    label_names: list[str]
    images: Literal["npy", "png", "files", "none"]
    parts: dict[Literal["query", "train", "database"], Part]
    files: dict[str, Sha256]


def order_sha256(rows: np.ndarray) -> str:
    """Return the SHA-256 of row numbers in their order, as little-endian int64."""
    return hashlib.sha256(np.ascontiguousarray(rows, "<i8").data).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an exported protocol.

    Parameters
    ----------
    folder : Path
        The folder that ``hashbench data export`` has written.

    Raises
    ------
    InputError
        The folder has no manifest, or one that is damaged or of another version.
    """
    file = folder / MANIFEST
    try:
        manifest = decoded(file.read_bytes(), Manifest)
    except OSError as error:
        raise InputError(f"{folder} is no exported protocol: {file} cannot be read ({error.strerror})") from error
    except Misfit as error:
        raise InputError(f"{file} is damaged or of another version ({error}); export the protocol again") from error
    if set(manifest["parts"]) != set(PARTS):
        raise InputError(f"{file} is damaged: it lacks a part; export the protocol again")
    return manifest
