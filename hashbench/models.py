"""Trained methods on disk: kept by a run, loaded again, and put to work on vectors and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.errors import InputError
from hashbench.extraction import batch_size
from hashbench.features import FEATURE_STEP, feature_key
from hashbench.inputs import Input, open_input, read_image
from hashbench.method import BLOCK_ROWS, HashMethod, read_saved
from hashbench.progress import progress, to_stderr
from hashbench.registry import Registry
from hashbench.store import Record

if TYPE_CHECKING:
    from torch import Tensor

    from hashbench.backbones import Backbone

VECTOR_STEP = 64 * BLOCK_ROWS
"""Vectors between two steps of the progress bar."""


@dataclass(frozen=True)
class SavedModel:
    """A trained method with what it was trained on.

    Attributes
    ----------
    path : Path
    method : HashMethod
        Fitted; its ``encode`` takes vectors.
    provenance : dict
        The file's header: ``features`` (the feature key), ``image_shape`` (height, width and channels of the data
        set's images, or None), ``dataset``, ``protocol``, ``plugin``, ``source`` (the plugin's source hash),
        ``label`` (the method as the user wrote it) and ``record`` (the record's id). A file that was saved by
        hand may lack any of them.
    weights : Path or None
        The backbone's state dict, where it is not bundled or cached.
    device : {"auto", "cpu", "cuda"}
        What the backbone runs on.
    """

    path: Path
    method: HashMethod
    provenance: dict[str, Any]
    weights: Path | None = None
    device: str = "auto"

    @property
    def label(self) -> str:
        """The method as the user wrote it, or its name."""
        return self.provenance.get("label") or self.method.name

    @property
    def n_bits(self) -> int:
        """Code length in bits."""
        return self.method.n_bits

    @property
    def code_width(self) -> int:
        """Code length in bytes."""
        return -(-self.n_bits // 8)

    @cached_property
    def backbone(self) -> Backbone:
        """The backbone that the model's features were made with.

        Raises
        ------
        InputError
            The model was not trained on images through a backbone, or the same features cannot be made here.
        """
        key = self.provenance.get("features") or {}
        if key.get("backbone") is None or not self.provenance.get("image_shape"):
            raise InputError(
                f"{self.path} was not trained on images through a backbone: give it vectors as it was trained on, "
                f"a .npy of floats (n, {self.method.n_features_in_})"
            )
        from hashbench.backbones import IMAGENET, PIXELS, PRECISIONS, open_backbone

        if key["backbone"] == PIXELS and self.weights is not None:
            raise InputError(f"--weights: {self.path} was trained on the pixels themselves, which need none")
        imagenet = [key.get("mean"), key.get("std")] == [list(values) for values in IMAGENET]
        try:
            backbone = open_backbone(
                key["backbone"],
                weights=self.weights,
                image_size=key["image_size"],
                device=self.device,
                precision={fabric: name for name, fabric in PRECISIONS.items()}[key["precision"]],
                normalization="imagenet" if imagenet else "model",
            )
        except KeyError as error:
            raise InputError(f"{self.path}: its feature key has no usable {error}; train it again") from error
        except InputError as error:
            raise InputError(f"{self.path} needs the backbone it was trained with: {error}") from error
        found = feature_key(backbone)
        differences = [
            f"{name} is {_short(found.get(name))}, the model's is {_short(key.get(name))}"
            for name in {**key, **found}
            if found.get(name) != key.get(name)
        ]
        if differences:
            raise InputError(f"the features that {self.path} was trained on cannot be made: {'; '.join(differences)}")
        tuned = getattr(self.method, "backbone_weights_", None)
        return backbone if tuned is None else backbone.with_parameters(tuned)


@dataclass(frozen=True)
class Encoded:
    """Packed codes (n, ceil(n_bits / 8)), uint8, and the names of their rows, where they have any."""

    codes: np.ndarray
    names: list[str]


def save_model(path: Path, method: HashMethod, record: Record, image_shape: Sequence[int | None] | None) -> None:
    """Save the trained method of a record with where it comes from, whole or not at all.

    Parameters
    ----------
    path : Path
    method : HashMethod
    record : Record
        That of the cell which trained the method.
    image_shape : (height, width, channels) or None
        Of the data set's images, if it has any; None for a side in which they differ.
    """
    config = record.config
    method.save(
        path,
        features=config["features"],
        image_shape=None if image_shape is None else [None if side is None else int(side) for side in image_shape],
        dataset=config["dataset"],
        protocol=config["protocol"],
        plugin=config["method"],
        source=config["source"],
        label=record.label,
        record=record.id,
    )


def load_model(
    path: str | Path,
    plugins: Sequence[str | Path] = (),
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    log: Callable[[str], None] = to_stderr,
) -> SavedModel:
    """Load a trained method that a run kept (``save_models``) or that `HashMethod.save` wrote.

    Parameters
    ----------
    path : path-like
    plugins : sequence of path-like
        Plugin files to look for the method in, besides the installed ones.
    weights : path-like, optional
        State dict of the model's backbone, read when images are encoded.
    device : {"auto", "cpu", "cuda"}
        What the backbone runs on.
    log : callable
        Receives a line of warning where the method's source is not the one that was trained.

    Returns
    -------
    SavedModel

    Raises
    ------
    InputError
        The file is missing or not a saved method, or its method is not here.

    Examples
    --------
    >>> import hashbench, tempfile
    >>> data = hashbench.load_dataset("digits")
    >>> X = data.images.reshape(len(data.images), -1) / 255
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hashbench.load_method("lsh")(n_bits=16, random_state=0).fit(X).save(f"{folder}/lsh.safetensors")
    ...     hashbench.load_model(f"{folder}/lsh.safetensors").method.encode(X).shape
    (1797, 2)
    """
    path = Path(path)
    header, _ = read_saved(path)
    name, known = header.get("plugin", header["method"]), Registry(plugins).plugins("methods")
    if name not in known:
        raise InputError(f"{path} needs the method {name!r}, which is not here; a file of yours is named by --plugin")
    plugin = known[name]
    method = plugin.load().load(path)  # type: ignore[attr-defined]
    if not hasattr(method, "n_features_in_"):
        raise InputError(f"{path} holds a method that was saved before it was fitted")
    provenance = {key: value for key, value in header.items() if key not in ("method", "params", "fitted")}
    trained = provenance.get("source", plugin.source_hash)
    if trained != plugin.source_hash:
        log(
            f"warning: {path} was trained by another version of {plugin.name} (source {_short(trained)}) than is here "
            f"({_short(plugin.source_hash)}); its codes may differ"
        )
    return SavedModel(path, method, provenance, None if weights is None else Path(weights), device)


def encode_input(model: SavedModel, source: str | Path) -> Encoded:
    """Return the codes of vectors or images, in bounded memory.

    Parameters
    ----------
    model : SavedModel
    source : path-like
        A folder of images, searched recursively, or one image file; or a .npy array: float vectors (n, d), or
        images (n, h, w, 3), uint8, also (n, h, w) and (n, h, w, 1) where the model was trained on grey images.
        Vectors are what the model's method was trained on: the backbone's features, or the data set's own.

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
    found = open_input(Path(source))
    if found.array is None:
        return Encoded(_encode_images(model, found.files, found.path), found.names)
    if found.array.ndim in (3, 4):
        return Encoded(_encode_images(model, _as_images(model, found), found.path), [])
    return Encoded(_encode_vectors(model, found.array, found.path), [])


def _encode_vectors(model: SavedModel, X: np.ndarray, path: Path) -> np.ndarray:
    width = model.method.n_features_in_
    if X.ndim != 2 or X.dtype.kind != "f":
        raise InputError(
            f"{path} has shape {X.shape} and dtype {X.dtype}, expected float vectors (n, {width}) or uint8 images "
            "(n, h, w, 3)"
        )
    if X.shape[1] != width:
        raise InputError(f"{path} holds vectors of {X.shape[1]} values, {model.path} was trained on {width}")
    codes = np.empty((len(X), model.code_width), np.uint8)
    with progress(f"codes of {len(X):,} vectors", len(X)) as bar:
        for first in range(0, len(X), VECTOR_STEP):
            block = X[first : first + VECTOR_STEP]
            codes[first : first + len(block)] = _encode(model, block, first, path)
            bar.advance(len(block))
    return codes


def _as_images(model: SavedModel, found: Input) -> np.ndarray:
    """Return an array of images as (n, h, w, c), or say what does not fit the model."""
    array, backbone = found.array, model.backbone
    assert array is not None
    height, width, channels = model.provenance["image_shape"]
    images = array[..., None] if array.ndim == 3 else array
    if images.dtype != np.uint8 or images.shape[3] != channels:
        raise InputError(
            f"{found.path} has shape {array.shape} and dtype {array.dtype}, {model.path} takes images of shape "
            f"(n, h, w, {channels}), uint8"
        )
    if backbone.size is None and images.shape[1:3] != (height, width):
        raise _wrong_size(model, found.path, images.shape[1:3])
    return images


def _encode_images(model: SavedModel, images: np.ndarray | list[Path], path: Path) -> np.ndarray:
    backbone, n = model.backbone, len(images)
    batch = batch_size(backbone)
    codes = np.empty((n, model.code_width), np.uint8)
    with progress(f"codes of {n:,} images ({backbone.key['backbone']})", n) as bar:
        for first in range(0, n, FEATURE_STEP):
            blocks = []
            for start in range(first, min(first + FEATURE_STEP, n), batch):
                blocks.append(backbone.extract(_batch(model, images[start : start + batch])).numpy())
                bar.advance(len(blocks[-1]))
            codes[first : first + FEATURE_STEP] = _encode(model, np.concatenate(blocks), first, path)
    return codes


def _batch(model: SavedModel, images: np.ndarray | list[Path]) -> Tensor:
    """Return images as the backbone takes them; files, each of a size of its own, are resized one by one."""
    import torch

    backbone = model.backbone
    if isinstance(images, np.ndarray):
        return backbone.resize(backbone.prepare(np.array(images)))  # a copy: torch warns of read-only memory
    height, width, channels = model.provenance["image_shape"]
    resized = []
    for file in images:
        image = read_image(file, channels)
        if backbone.size is None and image.shape[:2] != (height, width):
            raise _wrong_size(model, file, image.shape[:2])
        resized.append(backbone.resize(backbone.prepare(image[None])))
    return torch.cat(resized)


def _wrong_size(model: SavedModel, path: Path, size: tuple[int, ...]) -> InputError:
    height, width, _ = model.provenance["image_shape"]
    return InputError(
        f"{path}: {size[1]} × {size[0]} pixels, but {model.path} was trained on the pixels themselves of images "
        f"of {width} × {height}"
    )


def _encode(model: SavedModel, X: np.ndarray, first: int, path: Path) -> np.ndarray:
    """Return the codes of rows that begin at row ``first`` of the input, or say which row cannot be encoded."""
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            return model.method.encode(X)
    except ValueError as error:
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(np.asarray(X, np.float32)).all(axis=1)
        if not bad.any():
            raise
        raise InputError(f"{path}: row {first + int(np.argmax(bad))} holds NaN or infinite values") from error


def _short(value: Any) -> str:
    """Return a value for a message, a checksum by its first digits."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
