"""Files that want to execute code, or claim to be larger than they are, do nothing and are one line."""

import pickle
import struct
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import saved_codes
import torch
from conftest import one_clear_line
from scipy.io import savemat

from hashbench import score
from hashbench.errors import InputError

ROWS = 10**9


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def npy_of_objects(path, mark):
    np.save(path, np.array([[Trap(mark)]], dtype=object), allow_pickle=True)


def npz_of_objects(path, mark):
    np.savez(path, codes=np.array([[Trap(mark)]], dtype=object))


def bare_pickle(path, mark):
    path.write_bytes(pickle.dumps(Trap(mark)))


def tensors_with_code(path, mark):
    torch.save({"qB": torch.ones(3, 8), "hparams": Trap(mark)}, path)


def old_tensors_with_code(path, mark):
    torch.save({"qB": torch.ones(3, 8), "x": Trap(mark)}, path, _use_new_zipfile_serialization=False)


def matlab_cells(path, mark):
    savemat(path, {"codes": np.array([["text", np.ones(3)]], dtype=object)})


def matlab_object(path, mark):
    """Turn the class of a struct, a byte in its flags, into that of an object, 3, or a function, 16."""
    savemat(path, {"codes": {"a": np.ones((4, 8))}})
    content = bytearray(path.read_bytes())
    content[128 + 8 + 8] = 3 if mark.name == "object" else 16
    path.write_bytes(content)


def external_link(path, mark):
    with h5py.File(path.with_name("secret.h5"), "w") as file:
        file["codes"] = np.ones((4, 8))
    with h5py.File(path, "w") as file:
        file["codes"] = h5py.ExternalLink("secret.h5", "/codes")


def soft_link(path, mark):
    with h5py.File(path, "w") as file:
        file["codes"] = h5py.SoftLink("/codes")


def external_storage(path, mark):
    with h5py.File(path, "w") as file:
        file.create_dataset("codes", (4, 8), np.uint8, external=[("/etc/passwd", 0, 32)])


def virtual_array(path, mark):
    layout = h5py.VirtualLayout((4, 8), np.uint8)
    layout[:] = h5py.VirtualSource("secret.h5", "codes", (4, 8))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("codes", layout)


def long_npy(path, mark):
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (ROWS, 8)})
        stream.write(b"1234567890")


def long_npz(path, mark):
    long_npy(path.with_suffix(".npy"), mark)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_suffix(".npy"), "codes.npy")


def long_hdf5(path, mark):
    with h5py.File(path, "w") as file:
        file.create_dataset("codes", (ROWS, 1), np.uint8, chunks=(1000, 1))


def long_matlab_73(path, mark):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("codes", (1, ROWS), np.uint8, chunks=(1, 1000))
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def long_matlab(path, mark):
    savemat(path, {"codes": np.ones((4, 8))})
    content = path.read_bytes()
    assert struct.pack("<ii", 4, 8) in content
    path.write_bytes(content.replace(struct.pack("<ii", 4, 8), struct.pack("<ii", ROWS, 8)))


def long_tensor(path, mark):
    torch.save({"codes": torch.arange(24.0)}, path.with_suffix(".tmp"))
    with zipfile.ZipFile(path.with_suffix(".tmp")) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("data.pkl"):
                content = content.replace(b"K\x18", b"J" + struct.pack("<i", ROWS))
            target.writestr(info.filename, content)


def repeated_tensor(path, mark):
    torch.save({"codes": torch.ones(1, 64).expand(ROWS, 64)}, path)


def long_parquet(path, mark):
    """Write an honest column of many equal values: small in the file, large in memory."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int8)), pa.array([1.0]))
    pq.write_table(pa.table({f"b{bit}": column for bit in range(8)}), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def not_what_it_says(path, mark):
    path.write_bytes(b"\x80\x04 nothing of the kind" * 20)


CASES = [
    (npy_of_objects, ".npy", "not a readable .npy array"),
    (npz_of_objects, ".npz", "holds Python objects"),
    (bare_pickle, ".npy", "not a readable .npy array"),
    (bare_pickle, ".pkl", "is a pickle, which can execute code"),
    (bare_pickle, ".pt", "cannot be read as tensors alone"),
    (bare_pickle, ".mat", "is not a MATLAB file"),
    (tensors_with_code, ".pt", "cannot be read as tensors alone"),
    (old_tensors_with_code, ".pth", "cannot be read as tensors alone"),
    (matlab_cells, ".mat", "holds no array of numbers"),
    (matlab_object, ".mat", ".mat"),
    (external_link, ".h5", "holds no array of numbers"),
    (soft_link, ".h5", "holds no array of numbers"),
    (external_storage, ".h5", "holds no array of numbers"),
    (virtual_array, ".h5", "holds no array of numbers"),
    (long_npy, ".npy", "not a readable .npy array"),
    (long_npz, ".npz", "has another size than its header says"),
    (long_hdf5, ".h5", "0 bytes are stored"),
    (long_matlab_73, ".mat", "0 bytes are stored"),
    (long_matlab, ".mat", "1,000,000,000"),
    (long_tensor, ".pt", "cannot be read as tensors alone"),
    (repeated_tensor, ".pt", "need"),
    (long_parquet, ".parquet", "is not readable"),
    *((not_what_it_says, suffix, "not a readable") for suffix in (".npy", ".npz", ".h5", ".safetensors")),
    (not_what_it_says, ".mat", "is not a MATLAB file"),
    (not_what_it_says, ".parquet", "is not readable"),
    (not_what_it_says, ".xyz", "expected a file that ends in"),
]


@pytest.mark.parametrize(("make", "suffix", "words"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_hostile_file_is_one_line(make, suffix, words, cli, tmp_path):
    mark, path = tmp_path / "object", tmp_path / f"codes{suffix}"
    make(path, mark)
    np.save(tmp_path / "good.npy", np.ones((3, 8)))
    done = cli("score", "--query-codes", tmp_path / "good.npy", "--database-codes", path, "--neighbors", tmp_path)
    one_clear_line(done, words)
    assert not mark.exists()
    labels = ("--query-labels", path, "--database-labels", path)
    if suffix != ".xyz":
        done = cli("score", "--query-codes", tmp_path / "good.npy", "--database-codes", tmp_path / "good.npy", *labels)
        assert done.returncode == 2
        assert not mark.exists()


def test_a_function_in_a_matlab_file_is_one_line(cli, tmp_path):
    matlab_object(tmp_path / "codes.mat", tmp_path / "function")
    one_clear_line(cli("score", tmp_path / "codes.mat"), "codes.mat holds no array of numbers")


@pytest.mark.parametrize("layout", [saved_codes.dsdh, saved_codes.cvprw15, saved_codes.ddh, saved_codes.adsh_matlab])
def test_damaged_bytes_are_read_or_refused(layout, tmp_path):
    places = layout(tmp_path, saved_codes.Problem(n_query=6, n_database=20))
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.2 else whole)
        for place in rng.integers(len(damaged), size=4):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            score(*places)
        except InputError:
            refused += 1
        file.write_bytes(whole)
    assert refused > 5
