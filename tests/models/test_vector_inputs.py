"""Vectors to encode, search and rank again by, in every kind of file that embeddings are kept in."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line
from hypothesis import given
from hypothesis import strategies as st

from hashbench import load_method, load_model
from hashbench.data.readers.arrays.stored_array import StoredArray, in_steps
from hashbench.models.encode import encode_input

ROW_LENGTHS = {".fvecs": "<f4", ".bvecs": "u1"}
SHAPE_AHEAD = {".fbin": "<f4", ".f16bin": "<f2", ".u8bin": "u1", ".i8bin": "i1"}
FORMATS = [*ROW_LENGTHS, *SHAPE_AHEAD, ".npz", ".parquet", ".hdf5"]


def save(path: Path, X):
    """Write vectors as the suffix says; values are whole numbers from 0 to 100, so that every type holds them."""
    suffix = path.suffix
    if suffix in ROW_LENGTHS:
        lengths = np.full((len(X), 1), X.shape[1], "<i4").view(np.uint8)
        path.write_bytes(np.hstack([lengths, X.astype(ROW_LENGTHS[suffix]).view(np.uint8)]).tobytes())
    elif suffix in SHAPE_AHEAD:
        path.write_bytes(np.array(X.shape, "<u4").tobytes() + X.astype(SHAPE_AHEAD[suffix]).tobytes())
    elif suffix == ".npz":
        np.savez_compressed(path, vectors=X, labels=np.zeros(len(X), int))
    elif suffix == ".parquet":
        pq.write_table(pa.table({"embedding": list(X)}), path, row_group_size=70)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["train"] = X
    return path


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """Return a folder with a model, and the vectors it was trained on as a .npy."""
    folder = tmp_path_factory.mktemp("vectors")
    X = np.random.default_rng(0).integers(0, 101, (500, 16)).astype(np.float32)
    np.save(folder / "X.npy", X)
    load_method("itq")(n_bits=12, n_iter=3, random_state=0).fit(X).save(folder / "itq.safetensors")
    return folder


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_file_of_vectors_gives_the_codes_of_its_npy(used, tmp_path, suffix):
    model = load_model(used / "itq.safetensors")
    file = save(tmp_path / f"X{suffix}", np.load(used / "X.npy"))
    assert (encode_input(model, file).codes == encode_input(model, used / "X.npy").codes).all()


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_file_of_vectors_is_searched_and_ranked_again_by(used, tmp_path, cli, suffix):
    X = np.load(used / "X.npy")
    written = {}
    for name, database, query in [
        ("npy", used / "X.npy", tmp_path / "Q.npy"),
        ("other", save(tmp_path / f"X{suffix}", X), tmp_path / f"Q{suffix}"),
    ]:
        np.save(query, X[::50]) if query.suffix == ".npy" else save(query, X[::50])
        asked = ("search", used / "itq.safetensors", database, query, "--rescore", database, "-k", 5)
        done = cli(*asked, "--distance", "asymmetric", "--csv", tmp_path / f"{name}.csv")
        assert done.returncode == 0, done.stderr
        with (tmp_path / f"{name}.csv").open() as stream:
            written[name] = list(csv.DictReader(stream))
    assert len(written["npy"]) == 50
    assert written["other"] == written["npy"]


def test_one_of_several_arrays_is_named(used, tmp_path, cli):
    X, model = np.load(used / "X.npy"), used / "itq.safetensors"
    np.savez(tmp_path / "parts.npz", train=X[:400], test=X[400:])
    codes = {}
    for name in ("train", "test"):
        done = cli("encode", model, f"{tmp_path}/parts.npz:{name}", "-o", tmp_path / f"{name}.npy")
        assert done.returncode == 0, done.stderr
        codes[name] = np.load(tmp_path / f"{name}.npy")
    saved = load_model(model)
    assert (codes["train"] == saved.encode(X[:400])).all()
    assert (codes["test"] == saved.encode(X[400:])).all()
    for source, words in [
        ("parts.npz", ["parts.npz holds test, train", "name one, as in", "parts.npz:test"]),
        ("parts.npz:query", ["parts.npz holds test, train, not query"]),
        ("none.npz:query", ["none.npz:query: no such file or folder"]),
    ]:
        one_clear_line(cli("encode", model, f"{tmp_path}/{source}", "-o", tmp_path / "c.npy"), *words)
    assert not (tmp_path / "c.npy").exists()


def test_a_name_with_a_colon_is_a_file(used, tmp_path):
    np.save(tmp_path / "a:b.npy", np.load(used / "X.npy"))
    saved = load_model(used / "itq.safetensors")
    assert (encode_input(saved, tmp_path / "a:b.npy").codes == encode_input(saved, used / "X.npy").codes).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.fbin", np.array([5, 16], "<u4").tobytes() + b"1234", ["cut.fbin"]),
        ("wide.fbin", np.array([1, 2], "<u4").tobytes() + bytes(8), ["wide.fbin holds vectors of 2 values", "on 16"]),
        ("whole.ibin", np.array([1, 16], "<u4").tobytes() + bytes(64), ["dtype int32", "expected float vectors"]),
        ("empty.npz", b"PK\x05\x06" + bytes(18), ["empty.npz holds no array"]),
    ],
)
def test_unusable_files_are_named(used, tmp_path, cli, name, content, words):
    (tmp_path / name).write_bytes(content)
    one_clear_line(cli("encode", used / "itq.safetensors", tmp_path / name, "-o", tmp_path / "c.npy"), *words)
    assert not (tmp_path / "c.npy").exists()


@given(st.lists(st.integers(1, 9), min_size=1), st.integers(1, 12))
def test_steps_are_of_one_size_whatever_the_blocks(sizes, step):
    X = np.arange(3 * sum(sizes)).reshape(-1, 3)
    ends = np.cumsum(sizes)

    def blocks():
        for n, end in zip(sizes, ends, strict=True):
            yield np.arange(end - n, end), X[end - n : end]

    parts = list(in_steps(StoredArray("X", X.shape, X.dtype, blocks), step))
    assert [first for first, _ in parts] == list(range(0, len(X), step))
    assert {len(part) for _, part in parts[:-1]} <= {step}
    assert (np.concatenate([part for _, part in parts]) == X).all()
