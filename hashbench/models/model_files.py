"""Trained methods and quantizers on disk: kept by a run, loaded again with the backbone they were trained with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.contract.saved_file import SavedFile, read_saved
from hashbench.data.look import Look, look_of_key
from hashbench.data.similarity import SIMILARITIES, Similarity
from hashbench.errors import InputError
from hashbench.files.cores import one_core, steady_threads
from hashbench.files.paths import printable
from hashbench.options import home_expanded
from hashbench.plugins.registry import Plugin, Registry
from hashbench.progress import to_stderr

if TYPE_CHECKING:
    from hashbench.features.backbones.backbone import Backbone

MAX_LABEL = 200
"""Characters of a label that are shown."""


@dataclass(frozen=True)
class SavedModel:
    """A trained method or quantizer with what it was trained on.

    Attributes
    ----------
    path : Path
    method : HashMethod or Quantizer
        Fitted; its ``encode`` takes vectors, and as many threads as there are.
    provenance : dict
        The file's header: ``features`` (the feature key), ``image_shape`` (height, width and channels of the data
        set's images, or None), ``dataset``, ``protocol``, ``plugin``, ``source`` (the plugin's source hash),
        ``label`` (the method as the user wrote it, escaped) and ``record`` (the record's id). A file that was
        saved by hand may lack any of them.
    sha256 : str
        Checksum of the file's content: tells the model from every other one.
    weights : Path or None
        The backbone's state dict, where it is not bundled or cached.
    device : str
        What the backbone runs on.
    batch_size : int or None
        Images at once through it, where the user says so.
    """

    path: Path
    method: HashMethod | Quantizer
    provenance: dict[str, Any]
    sha256: str
    weights: Path | None = None
    device: str = "auto"
    batch_size: int | None = None

    @property
    def label(self) -> str:
        """The method as the user wrote it, or its name."""
        return self.provenance.get("label") or self.method.name

    @property
    def n_bits(self) -> int:
        """Code length in bits."""
        return self.method.code_bits

    @cached_property
    def code_width(self) -> int:
        """Code length in bytes."""
        return self.method.n_bytes(self.method.n_features_in_)

    @property
    def length(self) -> str:
        """Code length in words: of a method in bits, of a quantizer in bytes."""
        return self.method.code_length

    @property
    def look(self) -> Look:
        """What of their look made a difference to the images that it was trained on.

        Raises
        ------
        InputError
            The file's background or grey range is damaged.
        """
        try:
            return look_of_key(self.provenance.get("features", {}))
        except InputError as error:
            raise InputError(f"{self.path} cannot be used: {error}") from error

    @property
    def takes_images(self) -> bool:
        """Whether it was trained on images through a backbone."""
        return self.provenance.get("features", {}).get("backbone") is not None

    @property
    def n_channels(self) -> int:
        """Channels of the images that it was trained on."""
        shape = self.provenance.get("image_shape")
        return 3 if shape is None else shape[2]

    @property
    def similarity(self) -> Similarity:
        """By what the vectors that it was trained on are near."""
        return self.provenance.get("features", {}).get("similarity", "euclidean")

    def encode(self, X: Any) -> np.ndarray:
        """Return the codes of vectors, bit for bit those of a run.

        A run encodes with one thread what is not the same with any number of them, and so does this.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            What the method was trained on: the backbone's features, or the data set's vectors.

        Returns
        -------
        ndarray of shape (n, n_bytes), uint8
        """
        with steady_threads(self.method.portable):
            return self.method.encode(X)

    def values(self, X: Any) -> np.ndarray:
        """Return the real values of a hash method, (n, n_bits) float64, bit for bit those of a run."""
        assert isinstance(self.method, HashMethod)
        with one_core():
            return self.method.values(X)

    @cached_property
    def backbone(self) -> Backbone:
        """The backbone that the model's features were made with.

        Raises
        ------
        InputError
            The model was not trained on images through a backbone, or the same features cannot be made here.
        """
        key, shape = self.provenance.get("features", {}), self.provenance.get("image_shape")
        width = self.method.n_features_in_
        if key.get("backbone") is None or shape is None:
            raise InputError(
                f"{self.path} was not trained on images through a backbone: give it vectors as it was trained on, "
                f"a .npy of floats (n, {width})"
            )
        from hashbench.features.from_key import backbone_from_key

        try:
            chosen: dict[str, Any] = {"weights": self.weights, "device": self.device, "batch_size": self.batch_size}
            backbone = backbone_from_key(key, **chosen)
            if backbone.size is None and (None in shape or math.prod(shape) != width):
                raise InputError(f"images of shape {shape} are given, and vectors of {width} values")
            return self._tuned(backbone)
        except InputError as error:
            raise InputError(f"{self.path} needs the features it was trained on: {error}") from error

    def _tuned(self, backbone: Backbone) -> Backbone:
        """Return the backbone with the parameters that the method gave it, if it trained it."""
        parameters = self.method.backbone_weights_
        if parameters is None:
            return backbone
        if not isinstance(parameters, np.ndarray) or parameters.dtype != np.float32 or backbone.weights is None:
            raise InputError("its backbone_weights_ are not a network's")
        tuned = backbone.with_parameters(parameters)
        tuned.network()  # whether they fit is seen here
        return tuned


def save_model(
    path: Path,
    method: HashMethod | Quantizer,
    config: dict[str, Any],
    *,
    label: str,
    record: str,
    image_shape: Sequence[int | None] | None,
) -> None:
    """Save the trained method or quantizer of a record with where it comes from, whole or not at all.

    Parameters
    ----------
    path : Path
    method : HashMethod or Quantizer
    config : dict
        That of the cell which trained the method.
    label : str
        The method as the user wrote it.
    record : str
        The id of the cell's record.
    image_shape : (height, width, channels) or None
        Of the data set's images, if it has any; None for a side in which they differ.
    """
    method.save(
        path,
        features=config["features"],
        image_shape=None if image_shape is None else [None if side is None else int(side) for side in image_shape],
        dataset=config["dataset"],
        protocol=config["protocol"],
        plugin=config["method"],
        source=config["source"],
        label=label,
        record=record,
    )


def load_model(
    path: str | Path,
    plugins: Sequence[str | Path] = (),
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    log: Callable[[str], None] = to_stderr,
) -> SavedModel:
    """Load a trained method or quantizer that a run kept (``save_models``) or that its ``save`` wrote.

    Parameters
    ----------
    path : path-like
    plugins : sequence of path-like
        Plugin files to look for it in, besides the installed ones.
    weights : path-like, optional
        State dict of the model's backbone, read when images are encoded.
    device : str
        What the backbone runs on: ``auto``, ``cpu``, ``cuda``, or one of several GPUs such as ``cuda:1``.
    batch_size : int, optional
        Images at once through the backbone; by default as in the run, on a GPU fewer where they do not fit.
    log : callable
        Receives a line of warning where the method's source is not the one that was trained.

    Returns
    -------
    SavedModel

    Raises
    ------
    InputError
        The file is missing, damaged or not a saved method, or its method is not available or has changed too much.

    Examples
    --------
    >>> import hashbench, tempfile
    >>> data = hashbench.load_dataset("digits")
    >>> X = data.images.reshape(len(data.images), -1) / 255
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hashbench.load_method("lsh")(n_bits=16, random_state=0).fit(X).save(f"{folder}/lsh.safetensors")
    ...     hashbench.load_model(f"{folder}/lsh.safetensors").encode(X).shape
    (1797, 2)
    """
    saved = read_saved(path)
    plugin = _plugin_of(saved, plugins)
    method_class: type[HashMethod | Quantizer] = plugin.load()
    method = method_class.restore(saved)
    provenance = saved.provenance
    features = provenance.get("features", {})
    if features.get("similarity", SIMILARITIES[0]) not in SIMILARITIES:
        raise InputError(
            f"{path}: its vectors are near by {printable(str(features['similarity']), 60)}, which is not known"
        )
    if "label" in provenance:
        provenance["label"] = printable(provenance["label"], MAX_LABEL)
    trained = provenance.get("source", plugin.source_hash)
    if trained != plugin.source_hash:
        log(
            f"warning: {path} was trained by another version of {plugin.name} (source {trained[:12]}…) than is here "
            f"({plugin.source_hash[:12]}…); its codes may differ"
        )
    given = None if weights is None else home_expanded(weights)
    return SavedModel(saved.path, method, provenance, saved.sha256, given, device, batch_size)


def _plugin_of(saved: SavedFile, plugins: Sequence[str | Path]) -> Plugin:
    """Return the plugin that trained a method, by its name among those that are here."""
    name, kind = saved.header.get("plugin", saved.name), saved.kind
    known = Registry(plugins).plugins(kind)
    if name not in known:
        raise InputError(
            f"{saved.path} needs the {kind[:-1]} {name!r}, which is not here; a file of yours is named by --plugin"
        )
    return known[name]
