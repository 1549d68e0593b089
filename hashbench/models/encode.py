"""Puts trained methods and quantizers to work on a user's own vectors and images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashbench.contract.values import BLOCK_ROWS
from hashbench.data.look import Look
from hashbench.data.readers.arrays.stored_array import StoredArray, in_steps
from hashbench.data.similarity import unit_rows
from hashbench.errors import InputError
from hashbench.features.extracted import FEATURE_STEP
from hashbench.files.paths import printable
from hashbench.models.inputs import InputOptions, open_input
from hashbench.models.model_files import SavedModel
from hashbench.models.user_images import UserImages, look_for, wrong_size
from hashbench.options import home_expanded
from hashbench.progress import progress, to_stderr

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone

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
    look : Look or None
        How the images became pixels: turned or not, laid over which colour, scaled from which grey; only what made a
        difference to some image. None where they are no image files, or it is not known.
    """

    codes: np.ndarray
    names: list[str]
    look: Look | None = None


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
    images : UserImages or None
        The image files that they are made of.
    """

    path: Path
    n: int
    blocks: Callable[[], Blocks]
    array: StoredArray | None = None
    images: UserImages | None = None

    @property
    def look(self) -> Look | None:
        """As in `Encoded`; known once all rows are read."""
        return None if self.images is None else self.images.seen_look

    @property
    def names(self) -> list[str]:
        """Names of the rows that were read, where they have any."""
        return [] if self.images is None else self.images.names


def encode_input(model: SavedModel, source: str | Path, options: InputOptions | None = None) -> Encoded:
    """Return the codes of vectors or images, in bounded memory.

    Parameters
    ----------
    model : SavedModel
    source : path-like
        A folder of images, searched recursively, one image file, a table of images, or a parquet file that holds them;
        or an array in a file, as `hashbench.models.inputs.open_input` takes it: vectors (n, d), or images (n, h, w,
        3), uint8, also (n, h, w) and (n, h, w, 1) where the model was trained on grey images. Vectors are what the
        model's method was trained on: the backbone's features, or the data set's own.
    options : InputOptions, optional
        How image files are read: turned as their EXIF orientation says, laid over which colour, and whether broken ones
        are left out. What the model was trained with holds always.

    Returns
    -------
    Encoded
        Rows in the array's or the table's order, or by the files' paths relative to the folder.

    Raises
    ------
    InputError
        The input is missing, empty or unreadable, its shape or type does not fit the model, or the model's features
        cannot be made here.

    Notes
    -----
    Images go through the same steps, in batches of the same size, as in a run. So a data set's own images, all of
    them and in its order, give the very features that the run was fed, on the same machine and device, and with
    them the codes of its record. In other company, or on another processor, an image's features may differ in
    their last bits, and a bit of its code may flip where a projection lies that close to zero.
    """
    rows = open_rows(model, source, options)
    codes, n = np.empty((rows.n, model.code_width), np.uint8), 0
    with closing(rows.blocks()) as blocks:
        for first, block in blocks:
            n = first + len(block)
            with said_of(model, block, first, rows.path):
                codes[first:n] = model.encode(block)
    if rows.images is not None and rows.images.broken:
        broken = rows.images.broken
        to_stderr(f"{rows.path}: {len(broken):,} broken images are left out, first: {next(iter(broken.values()))}")
    return Encoded(codes[:n], rows.names, rows.look)


def open_rows(model: SavedModel, source: str | Path, options: InputOptions | None = None, what: str = "codes") -> Rows:
    """Open what `encode_input` takes, to be read a block at a time.

    Parameters
    ----------
    model : SavedModel
    source : path-like
    options : InputOptions, optional
    what : str
        What is made of the rows, for the progress bar.

    Raises
    ------
    InputError
        On the same conditions as `encode_input`. The content of images and rows is checked when they are read.
    """
    options = options or InputOptions()
    given = open_input(home_expanded(source), model.takes_images, options.image_column)
    if given.array is None:
        look = look_for(model.look, options, model.path)
        files = UserImages(given, look, model.n_channels, options.skip_broken)
        return Rows(given.path, len(files), lambda: _features(model, files, given.path, what), None, files)
    options.refuse_for_arrays(given.path)
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
        A row holds NaN, infinity, or a number that float32 cannot hold.
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
        raise InputError(wrong_size(path, images.shape[1:3], (height, width)))
    return images


def _features(model: SavedModel, images: np.ndarray | UserImages, path: Path, what: str) -> Blocks:
    """Yield the backbone's features of images, a step at a time."""
    backbone, n = model.backbone, len(images)
    first, blocks = 0, list[np.ndarray]()
    with progress(f"{what} of {n:,} images ({backbone.key['backbone']})", n) as bar:
        for batch in _batches(model, images):
            blocks.append(_fitting(backbone, batch, path))
            bar.advance(len(batch))
            if sum(map(len, blocks)) >= FEATURE_STEP:
                yield first, _joined(model, blocks, path)
                first += sum(map(len, blocks))
                blocks.clear()
        if blocks:
            yield first, _joined(model, blocks, path)


def _joined(model: SavedModel, blocks: list[np.ndarray], path: Path) -> np.ndarray:
    features = np.concatenate(blocks)
    _refuse_width(model, features.shape[1], path)
    return features


def _fitting(backbone: Backbone, images: np.ndarray | list[np.ndarray], path: Path) -> np.ndarray:
    """Return the features of a batch; a GPU on which one image does not fit is the user's to change."""
    from hashbench.features.hardware.memory import DoesNotFit

    try:
        return backbone.features(images)
    except DoesNotFit as error:
        raise InputError(f"{path}: {error}") from error


def _batches(model: SavedModel, images: np.ndarray | UserImages) -> Iterator[np.ndarray | list[np.ndarray]]:
    """Yield images, as many at once as the backbone takes."""
    backbone, size = model.backbone, model.backbone.batch_size
    if isinstance(images, np.ndarray):
        for start in range(0, len(images), size):
            yield np.array(images[start : start + size])  # a copy: torch warns of read-only memory
        return
    height, width, _ = model.provenance["image_shape"]
    images.size = (height, width) if backbone.size is None else None
    yield from images.batches(size)


def _refuse_width(model: SavedModel, width: int, path: Path) -> None:
    expected = model.method.n_features_in_
    if width != expected:
        raise InputError(f"{path} holds vectors of {width} values, {model.path} was trained on {expected}")


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
        The model raised an error.
    """
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        try:
            yield
        except Exception as error:  # a method raises whatever it likes
            refuse_nonfinite(path, first, X)
            reason = f"{type(error).__name__}: {printable(str(error), 200)}"
            raise InputError(f"{model.path} cannot encode {path}, rows {first} and following: {reason}") from error
