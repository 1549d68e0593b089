"""Vectors that cannot be used: each file gets one clear line."""

import io
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line
from vector_files import save, save_table

from hashbench import load_dataset
from hashbench.data.readers.arrays import stored_array as stored_arrays


def damaged(kind, content):
    """Cut a file short."""
    if kind == "zip":
        return content[: len(content) // 2] + content[-2000:]
    return content[: 2 * len(content) // 3]


def bad_files(X, label):
    """Yield (what is wrong, file name, content or arrays, words of the message)."""
    holes, huge = X.copy(), X.astype(np.float64)
    holes[7, 3], huge[9, 1] = np.nan, 1e300
    yield "nan", "vectors.npy", holes, ["vectors.npy", "row 7", "NaN"]
    yield "beyond float32", "vectors.npy", huge, ["vectors.npy", "row 9", "1e+300, which float32 cannot hold"]
    yield "no row", "vectors.npy", X[:0], ["vectors.npy", "(0, 12)"]
    yield "no column", "vectors.npz", {"vectors": X[:, :0]}, ["vectors.npz: vectors", "(500, 0)"]
    yield "one axis", "vectors.npy", X.ravel(), ["vectors.npy", "(6000,)", "(n, width)"]
    yield "texts", "vectors.npy", X.astype(str), ["vectors.npy", "<U", "expected floats"]
    yield "wide integers", "vectors.npy", X.astype(np.int64), ["vectors.npy", "int64", "8 or 16 bits"]
    yield "truths", "vectors.npy", X > 0, ["vectors.npy", "bool"]
    yield "complex", "vectors.npy", X.astype(complex), ["vectors.npy", "complex128"]
    yield "objects", "vectors.npy", X.astype(object), ["vectors.npy", "not a readable"]
    yield "objects in npz", "a.npz", {"vectors": X.astype(object)}, ["a.npz: vectors", "Python objects"]
    yield "other keys", "a.npz", {"foo": X, "bar": X}, ["a.npz has bar, foo", "database and query"]
    yield "no query", "a.npz", {"database": X}, ["a.npz has database", "database and query"]
    yield "two names", "a.npz", {"database": X, "train": X, "query": X}, ["both database and train", "learn"]
    yield "vectors and query", "a.npz", {"vectors": X, "query": X}, ["a.npz has query, vectors"]
    yield "widths", "a.npz", {"database": X, "query": X[:, :5]}, ["a.npz: query", "5", "a.npz: database", "12"]
    parts = {"database": X[:400], "query": X[400:]}
    yield "hole in a part", "a.npz", {"database": X[:400], "query": holes[:9]}, ["a.npz: query: row 7"]
    yield "labels", "a.npz", {"vectors": X, "labels": label[:9]}, ["a.npz: labels", "9 labels", "500"]
    yield "label dtype", "a.npz", {"vectors": X, "labels": label.astype(complex)}, ["a.npz: labels", "whole numbers"]
    yield "float labels", "a.npz", {"vectors": X, "labels": label / 2}, ["a.npz: labels: row", "a label is 0.5 (float)"]
    yield "label matrix", "a.npz", {"vectors": X, "labels": np.tile(label, (3, 1)).T}, ["labels: row", "other than 0"]
    wide = label.astype(np.uint64)
    wide[3] = 2**63
    yield (
        "labels beyond int64",
        "a.npz",
        {"vectors": X, "labels": wide},
        ["labels: row 3: a label is 9223372036854775808"],
    )
    yield (
        "negative labels",
        "a.npz",
        {"vectors": X, "labels": label - 1},
        ["a.npz: labels: row", "a label is -1, expected"],
    )
    yield "one class", "a.npz", {"vectors": X, "labels": label * 0 + 7}, ["a.npz: labels: every item has the label 7"]
    marks = np.eye(5, dtype=bool)[label]
    common = marks.copy()
    common[:, 2] = True
    yield "common label", "a.npz", {"vectors": X, "labels": common}, ["labels: every item has the label 2", "alike"]
    bare = marks.copy()
    bare[[7, 407]] = False
    named = {"database_labels": bare[:400], "query_labels": bare[400:]}
    yield "bare query", "a.npz", {**parts, **named}, ["a.npz: query_labels: row 7 has no label"]
    drawn = np.sort(np.random.default_rng(0).permutation(500)[:50])
    bare = marks.copy()
    bare[drawn[[4, 9]]] = False
    words = ["2 of 50 drawn queries", f"row {drawn[4]} the first"]
    yield "bare drawn query", "a.npz", {"vectors": X, "labels": bare}, words
    yield "half labelled", "a.npz", {**parts, "query_labels": label[400:]}, ["no database_labels"]
    both = {"database_labels": label[:400], "query_labels": np.eye(5, dtype=bool)[label[400:]]}
    yield "kinds of labels", "a.npz", {**parts, **both}, ["query_labels", "marks for 5 labels", "expected the same"]
    yield "labels twice", "a.npz", {"vectors": X, "labels": label, "vectors_labels": label}, ["both vectors_labels"]
    near = np.tile(np.arange(100), (100, 1))
    yield "neighbours without parts", "a.npz", {"vectors": X, "neighbors": near}, ["neighbors", "name"]
    yield "other neighbours", "a.npz", {**parts, "neighbors": near}, ["of its neighbours are the nearest", "delete it"]
    yield "neighbour rows", "a.npz", {**parts, "neighbors": near[:9]}, ["neighbors", "(9, 100)", "(100, k)"]
    yield "neighbour dtype", "a.npz", {**parts, "neighbors": near / 1}, ["neighbors", "float64"]
    for odd in (-1, 400):
        far = near.copy()
        far[5, 99] = odd
        yield f"neighbour {odd}", "a.npz", {**parts, "neighbors": far}, ["row 5", f"names {odd}", "0 to 399"]
    twice = near.copy()
    twice[6, 50] = 3
    yield "neighbour twice", "a.npz", {**parts, "neighbors": twice}, ["row 6", "twice", "delete it"]
    yield "cut npy", "vectors.npy", damaged("npy", written(np.save, X)), ["vectors.npy", "not a readable"]
    archive = written(np.savez, vectors=X)
    yield "cut npz", "a.npz", damaged("npz", archive), ["a.npz", "not a readable"]
    flipped = bytearray(archive)
    flipped[5000] ^= 1
    yield "flipped npz", "a.npz", bytes(flipped), ["a.npz", "not a readable", "CRC"]
    yield "not a zip", "a.npz", b"nothing", ["a.npz", "not a readable"]
    yield "claims", "a.npz", claiming((10**12, 12)), ["a.npz: vectors", "another size"]
    yield "unknown kind", "vectors.xml", b"1,2", ["holds no vectors", "vectors", ".npy", ".fbin"]

    def table(**columns):
        return written(lambda stream: pq.write_table(pa.table(columns), stream))

    lists = [row.tolist() for row in X[:200]]
    yield "other columns", "a.parquet", table(x=lists, y=lists), ["a.parquet", "columns x, y", "vector or embedding"]
    yield "both columns", "a.parquet", table(vector=lists, embedding=lists), ["a.parquet", "vector or embedding"]
    yield "no list", "a.parquet", table(vector=[1.0, 2.0]), ["a.parquet", "vector is double", "lists of floats"]
    yield "lists of text", "a.parquet", table(vector=[["a"], ["b"]]), ["a.parquet", "lists of string"]
    yield "ragged", "a.parquet", table(vector=[*lists, [1.0]]), ["a.parquet", "row 200 has 1 values", "12"]
    yield "empty row", "a.parquet", table(vector=[*lists, None]), ["a.parquet", "row 200 is empty"]
    hollow = [*lists, [None] * 12]
    yield "empty value", "a.parquet", table(vector=hollow), ["a.parquet", "row 200 holds an empty value"]
    nan = [*lists, [float("nan")] * 12]
    yield "nan in parquet", "a.parquet", table(vector=nan), ["a.parquet", "row 200", "NaN"]
    no_rows = table(vector=pa.array([], pa.list_(pa.float32())))
    yield "no rows", "a.parquet", no_rows, ["a.parquet has no rows"]
    yield "cut parquet", "a.parquet", damaged("parquet", table(vector=lists)), ["a.parquet", "not a readable"]
    parts = ["database"] * 150 + ["here"] * 50
    yield (
        "part",
        "a.parquet",
        table(vector=lists, part=parts),
        ["row 150: the part 'here'", "query", "learn", "(50 rows)"],
    )
    parted = {"vector": lists, "part": [None, *["query"] * 199]}
    yield "no part", "a.parquet", table(**parted), ["a.parquet", "row 0", "part"]
    objects = table(vector=lists, label=[{"id": 1, "name": "cat"}] * 200)
    yield "label objects", "a.parquet", objects, ["a.parquet: the column label", "fields id, name", "keep the one"]
    empty_label = table(vector=lists, label=[None, *[1] * 199])
    yield "empty label", "a.parquet", empty_label, ["a.parquet: row 0 of label", "is empty"]


def written(write, *arguments, **keywords):
    stream = io.BytesIO()
    write(stream, *arguments, **keywords)
    return stream.getvalue()


def claiming(shape):
    """Return an archive whose array says that it is far larger than it is."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("vectors.npy", member.getvalue())
    return stream.getvalue()


@pytest.mark.slow
def test_bad_files_get_one_clear_line(labelled_clusters, tmp_path, cli):
    seen = set()
    for what, name, content, words in bad_files(*labelled_clusters):
        assert what not in seen
        seen.add(what)
        folder = tmp_path / what.replace(" ", "-")
        folder.mkdir()
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif isinstance(content, dict):
            np.savez(folder / name, **content)
        else:
            np.save(folder / name, content)
        out = tmp_path / "out"
        done = cli("run", "--dataset", "vectors", "--data-dir", folder, "--methods", "lsh", "--out", out)
        assert "NaN" in words or str(folder) in done.stderr, what
        one_clear_line(done, *words)
        assert not out.exists(), what


def test_rows_without_a_label_may_be_in_the_database(labelled_clusters, tmp_path):
    X, label = labelled_clusters
    marks = np.eye(5, dtype=bool)[label]
    marks[7] = False
    arrays = {"database": X[:400], "query": X[400:], "database_labels": marks[:400], "query_labels": marks[400:]}
    data = load_dataset("vectors", data_dir=save("npz", tmp_path / "data", **arrays))
    assert (data.labels == marks).all()


@pytest.mark.parametrize("kind", ["npz", "compressed npz", "parquet", "hdf5", "npy"])
def test_more_than_the_memory_is_refused_before_it_is_taken(labelled_clusters, tmp_path, cli, monkeypatch, kind):
    X, _ = labelled_clusters
    place = save(kind, tmp_path / "data", database=X[:400], query=X[400:])
    free = SimpleNamespace(available=X.nbytes - 1)
    monkeypatch.setattr(stored_arrays.psutil, "virtual_memory", lambda: free)
    command = ("run", "--dataset", "vectors", "--data-dir", place, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*command), str(place), "500 × 12 values need 0.0 GiB of memory", "available; give fewer")
    free.available = 2 * X.nbytes
    assert (load_dataset("vectors", data_dir=place, protocol="vectors/1").features == X).all()


def test_what_an_hdf5_file_claims_is_not_allocated(tmp_path, cli):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "claims.hdf5", "w") as file:
        file.create_dataset("train", (10**12, 128), np.float32, chunks=(1000, 128))
        file["test"] = np.zeros((10, 128), np.float32)
    place = tmp_path / "claims.hdf5"
    command = ("run", "--dataset", "vectors", "--data-dir", place, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*command), "claims.hdf5", "1,000,000,000,010 × 128 values", "1,024,000.0 GB")


@pytest.mark.slow
def test_bad_hdf5_files_get_one_clear_line(labelled_clusters, tmp_path, cli):
    h5py = pytest.importorskip("h5py")
    X, _ = labelled_clusters
    np.save(tmp_path / "secret.npy", X)

    def keys(file):
        file["vec"], file["notes"] = X, "text"

    def group(file):
        file.create_group("train")
        file["test"] = X

    def texts(file):
        file["train"], file["test"] = np.array([b"a", b"b"]), X

    def linked(file):
        file["test"], file["train"] = X, h5py.ExternalLink("other.hdf5", "train")

    def stored_elsewhere(file):
        file["test"] = X
        file.create_dataset("train", X.shape, np.float32, external=[(str(tmp_path / "secret.npy"), 128, X.nbytes)])

    def jaccard(file):
        file["train"], file["test"], file.attrs["distance"] = X, X, "jaccard"

    def hole(file):
        holes = X.copy()
        holes[11, 0] = np.inf
        file["train"], file["test"] = X, holes

    def few(file):
        file["train"], file["test"], file["neighbors"] = X, X, np.zeros((500, 10), np.int32)

    cases = [
        (keys, ["has notes, vec", "train and test"]),
        (group, ["has test"]),
        (texts, ["train", "(2,)"]),
        (linked, ["has test;"]),
        (stored_elsewhere, ["has test;"]),
        (jaccard, ["'jaccard'", "choose one of them with --similarity"]),
        (hole, ["test: row 11", "infinite"]),
        (few, ["neighbors: row 0 names a neighbour twice"]),
    ]
    arguments = ["run", "--dataset", "vectors", "--methods", "lsh", "--out", tmp_path / "out", "--data-dir"]
    for number, (write, words) in enumerate(cases):
        path = tmp_path / f"{number}.hdf5"
        with h5py.File(path, "w") as file:
            write(file)
        one_clear_line(cli(*arguments, path), str(path), *words)
    whole = save("hdf5", tmp_path / "whole", database=X, query=X)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:20_000])
    one_clear_line(cli(*arguments, cut), "cut.h5", "not a readable HDF5 file")


def test_a_missing_h5py_names_the_extra(labelled_clusters, tmp_path, cli, monkeypatch):
    path = save("hdf5", tmp_path / "data", database=labelled_clusters[0], query=labelled_clusters[0])
    monkeypatch.setitem(sys.modules, "h5py", None)
    done = cli("run", "--dataset", "vectors", "--methods", "lsh", "--data-dir", path, "--out", tmp_path / "out")
    one_clear_line(done, str(path), "h5py", "pip install 'hashbench[hdf5]'")


@pytest.mark.slow
@pytest.mark.usefixtures("empty_cache")
def test_places_that_hold_nothing(labelled_clusters, tmp_path, cli):
    X, label = labelled_clusters
    arguments = ["run", "--dataset", "vectors", "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "vectors needs your files", "--data-dir")
    one_clear_line(cli(*arguments, "--data-dir", tmp_path / "nowhere"), "--data-dir", "no such file or folder")
    (tmp_path / "notes.md").write_text("nothing")
    one_clear_line(cli(*arguments, "--data-dir", tmp_path), "holds no vectors")
    one_clear_line(cli(*arguments, "--data-dir", tmp_path / "notes.md"), "notes.md", ".parquet")
    np.save(tmp_path / "query.npy", X)
    save_table(tmp_path / "query.parquet", X, label=label)
    one_clear_line(cli(*arguments, "--data-dir", tmp_path), "query.npy", "query.parquet", "both query")
    (tmp_path / "query.npy").unlink()
    save_table(tmp_path / "query.parquet", X, part=["query", "test", "train", "learn"] * 125)
    one_clear_line(cli(*arguments, "--data-dir", tmp_path), "query.parquet", "column part")
    one_clear_line(cli(*arguments, "--data-dir", tmp_path, "--backbone", "pixels"), "query.parquet")
