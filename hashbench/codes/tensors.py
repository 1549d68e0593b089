"""Tensors in torch's files; torch reads them with ``weights_only``, so that no code in a file is executed."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hashbench.codes.names import is_model
from hashbench.data.readers.arrays.stored_array import StoredArray, refuse_too_large, sliced
from hashbench.errors import InputError

DEEPEST = 4


def open_tensors(path: Path) -> dict[str, StoredArray]:
    """Return a file's tensors; those in dictionaries and lists have names such as ``test.codes``.

    Raises
    ------
    InputError
        The file is damaged, or needs code to be read.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles of other programs: they are refused, or read
            # A mapped file makes no tensor longer than it is; files before torch 1.6 are no archives, and not mapped.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises anything over a damaged file
        raise InputError(
            f"{path} cannot be read as tensors alone ({type(error).__name__}), and anything else could execute code: "
            "save tensors, torch.save({'query_codes': q, 'database_codes': d}, ...)"
        ) from error
    return {name: sliced(f"{path}: {name}" if name else str(path), array) for name, array in _arrays(loaded, "", path)}


def _arrays(value: Any, name: str, path: Path, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "detach"):
        if not value.is_sparse and not value.is_quantized and not value.is_complex():
            yield name, as_array(value, f"{path}: {name}" if name else str(path))
    elif isinstance(value, dict | list | tuple) and depth < DEEPEST:
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            if not is_model(str(key)):
                yield from _arrays(one, f"{name}.{key}" if name else str(key), path, depth + 1)


def as_array(tensor: Any, shown_as: str) -> Any:
    """Return a tensor as a numpy array; bfloat16 becomes float32.

    Raises
    ------
    InputError
        A tensor that repeats its rows is larger than the memory that is available.
    """
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array = tensor.resolve_neg().numpy()
    refuse_too_large(shown_as, array.shape, array.dtype)
    return array
