"""Puts trained methods to work on a user's own vectors and images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashbench.data.decoding import content, decode
from hashbench.data.images import decoding_threads
from hashbench.errors import InputError
from hashbench.features.extracted import FEATURE_STEP
from hashbench.files.paths import printable
from hashbench.method import BLOCK_ROWS
from hashbench.models.inputs import open_input
from hashbench.models.saved import SavedModel
from hashbench.progress import progress

if TYPE_CHECKING:
    from torch import Tensor


VECTOR_STEP = 64 * BLOCK_ROWS
"""Vectors between two steps of the progress bar."""


@dataclass(frozen=True)
class Encoded:
    """Codes and what is known of them.

    Attributes
    ----------
    codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
        Packed.
    names : list of str
        Of the rows, where they have any.
    exif : bool or None
        Whether the images were turned as their EXIF orientation says; None where they are no image files, or it is
        not known.
    """

    codes: np.ndarray
    names: list[str]
    exif: bool | None = None


def encode_input(model: SavedModel, source: str | Path, exif: bool = False) -> Encoded:
    """Return the codes of vectors or images, in bounded memory.

    Parameters
    ----------
    model : SavedModel
    source : path-like
        A folder of images, searched recursively, or one image file; or a .npy array: float vectors (n, d), or
        images (n, h, w, 3), uint8, also (n, h, w) and (n, h, w, 1) where the model was trained on grey images.
        Vectors are what the model's method was trained on: the backbone's features, or the data set's own.
    exif : bool
        Turn image files as their EXIF orientation says; a model that was trained on such images does it always.

    Returns
    -------
    Encoded
        Rows in the array's order, or by the files' paths relative to the folder.

    Raises
    ------
    InputError
        The input is missing, empty, unreadable or of another shape or type than the model takes, or the model's
        features cannot be made here.

    Notes
    -----
    Images go through the same steps, in batches of the same size, as in a run. So a data set's own images, all of
    them and in its order, give the very features that the run was fed, on the same machine and device, and with
    them the codes of its record. In other company, or on another processor, an image's features may differ in
    their last bits, and a bit of its code may flip where a projection lies that close to zero.
    """
    given = open_input(Path(source))
    if given.array is None:
        turned = exif or model.exif
        return Encoded(_encode_images(model, given.files, given.path, turned), given.names, turned)
    if exif:
        raise InputError(f"--exif: {given.path} is an array, only image files have an EXIF orientation; leave it out")
    if given.array.ndim in (3, 4):
        return Encoded(_encode_images(model, _as_images(model, given.array, given.path), given.path), [])
    return Encoded(_encode_vectors(model, given.array, given.path), [])


def _encode_vectors(model: SavedModel, X: np.ndarray, path: Path) -> np.ndarray:
    width = model.method.n_features_in_
    if X.ndim != 2 or X.dtype.kind != "f":
        raise InputError(
            f"{path} has shape {X.shape} and dtype {X.dtype}, expected float vectors (n, {width}) or uint8 images "
            "(n, h, w, 3)"
        )
    _refuse_width(model, X, path)
    codes = np.empty((len(X), model.code_width), np.uint8)
    with progress(f"codes of {len(X):,} vectors", len(X)) as bar:
        for first in range(0, len(X), VECTOR_STEP):
            block = X[first : first + VECTOR_STEP]
            codes[first : first + len(block)] = _encode(model, block, first, path)
            bar.advance(len(block))
    return codes


def _as_images(model: SavedModel, array: np.ndarray, path: Path) -> np.ndarray:
    """Return an array of images as (n, h, w, c), or say what does not fit the model."""
    backbone = model.backbone
    height, width, channels = model.provenance["image_shape"]
    images = array[..., None] if array.ndim == 3 else array
    if images.dtype != np.uint8 or images.shape[3] != channels:
        raise InputError(
            f"{path} has shape {array.shape} and dtype {array.dtype}, {model.path} takes images of shape "
            f"(n, h, w, {channels}), uint8"
        )
    if backbone.size is None and images.shape[1:3] != (height, width):
        raise _wrong_size(model, path, images.shape[1:3])
    return images


def _encode_images(model: SavedModel, images: np.ndarray | list[Path], path: Path, exif: bool = False) -> np.ndarray:
    backbone, n = model.backbone, len(images)
    batch = backbone.batch_size
    codes = np.empty((n, model.code_width), np.uint8)
    with progress(f"codes of {n:,} images ({backbone.key['backbone']})", n) as bar:
        for first in range(0, n, FEATURE_STEP):
            blocks = []
            for start in range(first, min(first + FEATURE_STEP, n), batch):
                blocks.append(backbone.extract(_batch(model, images[start : start + batch], exif)).numpy())
                bar.advance(len(blocks[-1]))
            features = np.concatenate(blocks)
            _refuse_width(model, features, path)
            codes[first : first + FEATURE_STEP] = _encode(model, features, first, path)
    return codes


def _batch(model: SavedModel, images: np.ndarray | list[Path], exif: bool) -> Tensor:
    """Return images as the backbone takes them."""
    if isinstance(images, np.ndarray):
        return model.backbone.load(np.array(images))  # a copy: torch warns of read-only memory
    return model.backbone.load(_read(model, images, exif))


def _read(model: SavedModel, files: list[Path], exif: bool) -> list[np.ndarray]:
    """Return the pixels of image files, which are read in parallel."""
    height, width, channels = model.provenance["image_shape"]

    def pixels(file: Path) -> np.ndarray:
        return decode(content(file, str(file)), str(file), channels, exif)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of what is refused anyway
        images = list(decoding_threads().map(pixels, files))
    for file, image in zip(files, images, strict=True):
        if model.backbone.size is None and image.shape[:2] != (height, width):
            raise _wrong_size(model, file, image.shape[:2])
    return images


def _wrong_size(model: SavedModel, path: Path, size: tuple[int, ...]) -> InputError:
    height, width, _ = model.provenance["image_shape"]
    return InputError(
        f"{path}: {size[1]} × {size[0]} pixels, but {model.path} was trained on the pixels themselves of images "
        f"of {width} × {height}"
    )


def _refuse_width(model: SavedModel, X: np.ndarray, path: Path) -> None:
    width = model.method.n_features_in_
    if X.shape[1] != width:
        raise InputError(f"{path} holds vectors of {X.shape[1]} values, {model.path} was trained on {width}")


def _encode(model: SavedModel, X: np.ndarray, first: int, path: Path) -> np.ndarray:
    """Return the codes of rows that begin at row ``first`` of the input, or say what cannot be encoded."""
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        try:
            return model.method.encode(X)
        except Exception as error:  # a method raises whatever it likes
            bad = ~np.isfinite(np.asarray(X, np.float32)).all(axis=1)
            if bad.any():
                raise InputError(f"{path}: row {first + int(np.argmax(bad))} holds NaN or infinite values") from error
            reason = f"{type(error).__name__}: {printable(str(error), 200)}"
            raise InputError(f"{model.path} cannot encode {path}, rows {first} and following: {reason}") from error
