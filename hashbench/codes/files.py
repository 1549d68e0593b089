"""Arrays in files of any kind that codes and labels are kept in, by their names; nothing in a file is executed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hashbench.codes.damaged import readable
from hashbench.codes.matlab import open_matlab
from hashbench.codes.tables import open_parquet, open_text
from hashbench.codes.tensors import open_tensors
from hashbench.data.readers.arrays.containers import open_hdf5, open_npz, open_safetensors
from hashbench.data.readers.arrays.stored_array import StoredArray, sliced
from hashbench.errors import InputError
from hashbench.files.arrays import open_npy

Arrays = Mapping[str, StoredArray]
MOST_COMPRESSED = 2000
"""Times that a filter can make an array smaller; one that claims more is hollow."""
PICKLES = (".pkl", ".pickle", ".p", ".joblib")
MATLAB = ".mat"


def _open_npy(path: Path) -> Arrays:
    return {"": sliced(str(path), open_npy(path))}


def _open_hdf5(path: Path) -> Arrays:
    """Open an HDF5 file; an array of which next to nothing is stored is refused, whatever size it claims."""
    arrays = open_hdf5(path).arrays
    import h5py

    with h5py.File(path, "r") as file:
        for name, stored in arrays.items():
            size, held = math.prod(stored.shape) * stored.dtype.itemsize, file[name].id.get_storage_size()
            if size > MOST_COMPRESSED * held:
                raise InputError(
                    f"{stored.shown_as} says {stored.shape} values of {stored.dtype}, and {held:,} bytes are stored: "
                    "write it again"
                )
    return arrays


def _open_mat(path: Path) -> Arrays:
    """Open a MATLAB file of any version; arrays have the axes that they have in MATLAB."""
    with path.open("rb") as stream:
        is_hdf5 = b"MATLAB 7.3" in stream.read(128)
    if not is_hdf5:
        return open_matlab(path)
    return {name: _transposed(stored) for name, stored in _open_hdf5(path).items()}


def _transposed(stored: StoredArray) -> StoredArray:
    return StoredArray(
        stored.shown_as, stored.shape[::-1], stored.dtype, lambda: iter([(np.empty(0, int), stored.read().T)])
    )


FORMATS: Mapping[str, Callable[[Path], Arrays]] = {
    ".npy": _open_npy,
    ".npz": lambda path: open_npz(path).arrays,
    MATLAB: _open_mat,
    ".pt": open_tensors,
    ".pth": open_tensors,
    ".t": open_tensors,
    ".hdf5": _open_hdf5,
    ".h5": _open_hdf5,
    ".safetensors": lambda path: open_safetensors(path).arrays,
    ".parquet": open_parquet,
    ".csv": open_text,
    ".tsv": open_text,
    ".txt": open_text,
}
"""How each kind of file is opened, by its suffix."""
TEXTS = (".csv", ".tsv", ".txt")


def open_arrays(path: Path) -> Arrays:
    """Return the arrays of a file by their names; the only array of a plain file has the name ``""``.

    Rows are read when they are asked for. Arrays of objects, links to other files and what needs code to be read are
    refused or passed over.

    Raises
    ------
    InputError
        The file is missing, damaged, of an unknown kind, or holds no array of numbers.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if suffix in PICKLES:
        raise InputError(
            f"{path} is a pickle, which can execute code when it is read: save the arrays with numpy.save or torch.save"
        )
    if suffix not in FORMATS:
        raise InputError(f"{path}: expected a file that ends in {', '.join(FORMATS)}")
    with readable(str(path)):
        arrays = FORMATS[suffix](path)
    usable = {name: stored for name, stored in arrays.items() if stored.dtype.kind in "biufU"}
    if not usable:
        raise InputError(f"{path} holds no array of numbers")
    return usable
