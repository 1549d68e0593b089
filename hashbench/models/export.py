"""Trained models as indexes of faiss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.contract.faiss_quantizer import FaissQuantizer, add_codes, faiss_module
from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.errors import InputError, Unsupported
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.models.code_files import read_codes
from hashbench.models.encode import encode_input, open_rows, refuse_nonfinite
from hashbench.models.linear import linear_map
from hashbench.models.model_files import SavedModel

FORMATS = ("faiss", "faiss-binary")
CODE_STEP = 2**16
"""Codes that are turned at a time."""


def faiss_index(model: SavedModel, vectors: Path | None = None, codes: Path | None = None) -> Any:
    """Return an index of faiss that takes float vectors and finds the same neighbours as the model.

    A linear hash method becomes its linear map before an ``IndexLSH``: equal Hamming distances, but for bits whose
    values are within rounding of 0. faiss sets a bit where a value is at least 0, hashbench where it is above 0; so the
    map is exported with its sign turned, and every bit of a code is inverted, which changes no distance.

    Parameters
    ----------
    model : SavedModel
    vectors : Path, optional
        The database, as `hashbench.models.encode.encode_input` takes it.
    codes : Path, optional
        The database's codes in place of it. Without both, the index is empty.

    Returns
    -------
    faiss.Index

    Raises
    ------
    InputError
        faiss has no such index for the model, the codes cannot be put into it, the database does not fit it, or faiss
        is not installed.
    """
    try:
        if isinstance(model.method, Quantizer):
            return _divided_by_length(model, _of_quantizer(model, model.method, vectors, codes))
        linear = linear_map(model.method)
        if linear is None:
            raise InputError(
                f"{model.path}: the bits of {model.label} are not the signs of a linear map, so faiss cannot encode "
                "queries; --format faiss-binary writes an index of codes, searched with those of hashbench encode"
            )
        index = _linear_index(model.method, *linear)
    except Unsupported as error:
        raise InputError(f"{model.path}: {error}") from error
    given = _codes(model, vectors, codes)
    if given is not None:
        for block in _turned(given, model.n_bits):
            add_codes(index, block)
    return _divided_by_length(model, index)


def faiss_binary_index(model: SavedModel, vectors: Path | None = None, codes: Path | None = None) -> Any:
    """Return a faiss ``IndexBinaryFlat`` of a hash method's codes, as `hashbench.HashMethod.encode` gives them.

    Parameters
    ----------
    model : SavedModel
    vectors, codes : Path, optional
        As for `faiss_index`; one of them.

    Returns
    -------
    faiss.IndexBinary

    Raises
    ------
    InputError
        The model is a quantizer, the database is missing or does not fit the model, or faiss is not installed.
    """
    if isinstance(model.method, Quantizer):
        raise InputError(f"{model.path}: codes of {model.label} have no Hamming distance; take --format faiss")
    given = _codes(model, vectors, codes)
    if given is None:
        raise InputError("--format faiss-binary: nothing is to be in the index; give --codes or --vectors")
    try:
        index = faiss_module("--format faiss-binary").IndexBinaryFlat(8 * model.code_width)
    except Unsupported as error:
        raise InputError(str(error)) from error
    index.add(np.ascontiguousarray(given))
    return index


def write_index(path: Path, index: Any) -> None:
    """Write an index as faiss reads it, whole or not at all.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    faiss = faiss_module("export")
    is_binary = isinstance(index, faiss.IndexBinary)
    content = (faiss.serialize_index_binary if is_binary else faiss.serialize_index)(index)
    with as_input_error(path):
        write_atomically(path, content.data)


def _codes(model: SavedModel, vectors: Path | None, codes: Path | None) -> np.ndarray | None:
    """Return the database's codes, if there is a database."""
    if codes is not None:
        return read_codes(codes, model).codes
    return None if vectors is None else encode_input(model, vectors).codes


def _linear_index(method: HashMethod, weights: np.ndarray, offsets: np.ndarray) -> Any:
    faiss = faiss_module("--format faiss")
    d, n_bits = weights.shape
    linear, index = faiss.LinearTransform(d, n_bits, True), faiss.IndexLSH(n_bits, n_bits, False, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(-weights.T, np.float32).ravel(), linear.A)
    faiss.copy_array_to_vector(offsets.astype(np.float32), linear.b)
    linear.is_trained = True
    return faiss.IndexPreTransform(linear, index)


def _divided_by_length(model: SavedModel, index: Any) -> Any:
    """Return an index that divides vectors by their lengths first, for a model that compares by cosine."""
    if model.similarity != "cosine":
        return index
    faiss = faiss_module("--format faiss")
    divide = faiss.NormalizationTransform(index.d, 2.0)
    if not isinstance(index, faiss.IndexPreTransform):
        return faiss.IndexPreTransform(divide, index)
    index.prepend_transform(divide)
    return index


def _turned(codes: np.ndarray, n_bits: int) -> Iterator[np.ndarray]:
    """Yield codes as `_linear_index` encodes vectors: every bit inverted, the first of a byte lowest."""
    for start in range(0, len(codes), CODE_STEP):
        bits = np.unpackbits(codes[start : start + CODE_STEP], axis=1, count=n_bits)
        yield np.packbits(1 - bits, axis=1, bitorder="little")


def _of_quantizer(model: SavedModel, quantizer: Quantizer, vectors: Path | None, codes: Path | None) -> Any:
    index = quantizer.to_faiss(model.similarity)
    if isinstance(quantizer, FaissQuantizer):
        given = _codes(model, vectors, codes)
        if given is not None:
            add_codes(index, given)
        return index
    if codes is not None:
        raise InputError(f"--codes: faiss lays out the codes of {quantizer.name} in another way; give --vectors")
    if vectors is not None:
        rows = open_rows(model, vectors)
        with closing(rows.blocks()) as blocks:
            for first, block in blocks:
                refuse_nonfinite(rows.path, first, block)
                index.add(np.ascontiguousarray(block, np.float32))
    return index
