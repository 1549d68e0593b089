"""Trained methods on disk: kept by a run, and loaded again with the backbone they were trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.errors import InputError
from hashbench.features.source import feature_key
from hashbench.method import HashMethod, read_saved
from hashbench.plugins.registry import Registry
from hashbench.progress import to_stderr

if TYPE_CHECKING:
    from hashbench.features.backbone import Backbone


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
        from hashbench.features.backbone import IMAGENET, PIXELS, open_backbone
        from hashbench.features.devices import PRECISIONS

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
                compiled=bool(key.get("compiled")),
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
        tuned = self.method.backbone_weights_
        return backbone if tuned is None else backbone.with_parameters(tuned)


def save_model(
    path: Path,
    method: HashMethod,
    config: dict[str, Any],
    *,
    label: str,
    record: str,
    image_shape: Sequence[int | None] | None,
) -> None:
    """Save the trained method of a record with where it comes from, whole or not at all.

    Parameters
    ----------
    path : Path
    method : HashMethod
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


def _short(value: Any) -> str:
    """Return a value for a message, a checksum by its first digits."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
