"""Puts trained methods and quantizers to work on a user's own vectors and images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashbench.data.decoding import content, decode
from hashbench.data.images import decoding_threads
from hashbench.data.readers.arrays.stored_array import StoredArray, in_steps
from hashbench.data.similarity import unit_rows
from hashbench.errors import InputError
from hashbench.features.extracted import FEATURE_STEP
from hashbench.files.paths import printable
from hashbench.method import BLOCK_ROWS
from hashbench.models.inputs import open_input
from hashbench.models.saved import SavedModel
from hashbench.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

Blocks = Generator[tuple[int, np.ndarray], None, None]
"""First row and vectors of one block after the other; closed, so that its progress bar ends."""
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


@dataclass(frozen=True)
class Rows:
    """What a model encodes: vectors, or the features that its backbone makes of images, a block at a time.

    Attributes
    ----------
    path : Path
        As the user gave it.
    n : int
    blocks : callable
        ``blocks()`` yields the first row and the vectors of each block, of the model's width.
    array : StoredArray or None
        The vectors in their file; None where they are made of images.
    names : list of str
    exif : bool or None
        As in `Encoded`.
    """

    path: Path
    n: int
    blocks: Callable[[], Blocks]
    array: StoredArray | None = None
    names: list[str] = field(default_factory=list)
    exif: bool | None = None


def encode_input(model: SavedModel, source: str | Path, exif: bool = False) -> Encoded:
    """Return the codes of vectors or images, in bounded memory.

    Parameters
    ----------
    model : SavedModel
    source : path-like
        A folder of images, searched recursively, or one image file; or an array in a file, as
        `hashbench.models.inputs.open_input` takes it: vectors (n, d), or images (n, h, w, 3), uint8, also (n, h, w)
        and (n, h, w, 1) where the model was trained on grey images. Vectors are what the model's method was trained
        on: the backbone's features, or the data set's own.
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
    rows = open_rows(model, source, exif)
    codes = np.empty((rows.n, model.code_width), np.uint8)
    with closing(rows.blocks()) as blocks:
        for first, block in blocks:
            codes[first : first + len(block)] = _encode(model, block, first, rows.path)
    return Encoded(codes, rows.names, rows.exif)


def open_rows(model: SavedModel, source: str | Path, exif: bool = False, what: str = "codes") -> Rows:
    """Open what `encode_input` takes, to be read a block at a time.

    Parameters
    ----------
    model : SavedModel
    source : path-like
    exif : bool
    what : str
        What is made of the rows, for the progress bar.

    Raises
    ------
    InputError
        As `encode_input` does; what images and rows hold is seen when they are read.
    """
    given = open_input(Path(source))
    if given.array is None:
        turned, files, path = exif or model.exif, given.files, given.path
        return Rows(
            path, len(files), lambda: _features(model, files, path, what, turned), names=given.names, exif=turned
        )
    if exif:
        raise InputError(f"--exif: {given.path} is an array, only image files have an EXIF orientation; leave it out")
    if len(given.array.shape) in (3, 4):
        images, path = _as_images(model, given.array, given.path), given.path
        return Rows(path, len(images), lambda: _features(model, images, path, what))
    return _open_vectors(model, given.array, given.path, what)


def refuse_nonfinite(path: Path, first: int, X: np.ndarray) -> None:
    """Refuse rows of a file that hold NaN or infinite values.

    Parameters
    ----------
    path : Path
    first : int
        The first row's number in the file.
    X : ndarray of shape (n, d)

    Raises
    ------
    InputError
        They do, or numbers that are infinite in single precision.
    """
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(np.asarray(X, np.float32)).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        where = f"{path}: row {first + row} holds"
        if np.isfinite(X[row]).all():
            raise InputError(f"{where} {np.abs(X[row]).max():g}, which float32 cannot hold: divide by a constant")
        raise InputError(f"{where} NaN or infinite values")


def _open_vectors(model: SavedModel, array: StoredArray, path: Path, what: str) -> Rows:
    width = model.method.n_features_in_
    short = array.dtype.kind in "iu" and array.dtype.itemsize <= 2 and path.suffix.lower() != ".npy"
    if len(array.shape) != 2 or not (array.dtype.kind == "f" or short):
        raise InputError(
            f"{path} has shape {array.shape} and dtype {array.dtype}, expected float vectors (n, {width}) or uint8 "
            "images (n, h, w, 3)"
        )
    n = array.shape[0]
    _refuse_width(model, array.shape[1], path)
    if model.provenance.get("features", {}).get("centred"):
        raise InputError(
            f"{model.path} was trained on vectors far from 0 whose mean had been subtracted: subtract it yourself, and "
            "train and encode what is left"
        )

    def blocks() -> Blocks:
        with progress(f"{what} of {n:,} vectors", n) as bar:
            for first, block in in_steps(array, VECTOR_STEP):
                yield first, _compared(model, block, first, path)
                bar.advance(len(block))

    return Rows(path, n, blocks, array)


def _compared(model: SavedModel, block: np.ndarray, first: int, path: Path) -> np.ndarray:
    """Return vectors as the model compares them: divided by their lengths where it was trained on such."""
    if model.similarity != "cosine":
        return block
    refuse_nonfinite(path, first, block)
    try:
        return unit_rows(block, np.arange(first, first + len(block))).astype(np.float32)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _as_images(model: SavedModel, array: StoredArray, path: Path) -> np.ndarray:
    """Return an array of images as (n, h, w, c), or say what does not fit the model."""
    backbone = model.backbone
    height, width, channels = model.provenance["image_shape"]
    images = array.read() if array.mapped is None else array.mapped
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.shape[3] != channels:
        raise InputError(
            f"{path} has shape {array.shape} and dtype {array.dtype}, {model.path} takes images of shape "
            f"(n, h, w, {channels}), uint8"
        )
    if backbone.size is None and images.shape[1:3] != (height, width):
        raise _wrong_size(model, path, images.shape[1:3])
    return images


def _features(model: SavedModel, images: np.ndarray | list[Path], path: Path, what: str, exif: bool = False) -> Blocks:
    """Yield the backbone's features of images, a step at a time."""
    backbone, n = model.backbone, len(images)
    batch = backbone.batch_size
    with progress(f"{what} of {n:,} images ({backbone.key['backbone']})", n) as bar:
        for first in range(0, n, FEATURE_STEP):
            blocks = []
            for start in range(first, min(first + FEATURE_STEP, n), batch):
                blocks.append(backbone.extract(_batch(model, images[start : start + batch], exif)).numpy())
                bar.advance(len(blocks[-1]))
            features = np.concatenate(blocks)
            _refuse_width(model, features.shape[1], path)
            yield first, features


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


def _refuse_width(model: SavedModel, width: int, path: Path) -> None:
    expected = model.method.n_features_in_
    if width != expected:
        raise InputError(f"{path} holds vectors of {width} values, {model.path} was trained on {expected}")


def _encode(model: SavedModel, X: np.ndarray, first: int, path: Path) -> np.ndarray:
    """Return the codes of rows that begin at row ``first`` of the input."""
    with said_of(model, X, first, path):
        return model.method.encode(X)


@contextmanager
def said_of(model: SavedModel, X: np.ndarray, first: int, path: Path) -> Iterator[None]:
    """Turn what a model raises over rows of a file into one line.

    Parameters
    ----------
    model : SavedModel
    X : ndarray of shape (n, n_features)
    first : int
        The number of the first row in the file.
    path : Path

    Raises
    ------
    InputError
        The model has raised something.
    """
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        try:
            yield
        except Exception as error:  # a method raises whatever it likes
            refuse_nonfinite(path, first, X)
            reason = f"{type(error).__name__}: {printable(str(error), 200)}"
            raise InputError(f"{model.path} cannot encode {path}, rows {first} and following: {reason}") from error
