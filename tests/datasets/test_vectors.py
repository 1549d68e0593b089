"""The user's own vectors: every kind of file gives the same records, and what is wrong with one is named."""

import io
import sys
import tracemalloc
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line

from hashbench import InputError, load_dataset, run
from hashbench.data.items import fingerprint_of
from hashbench.data.readers.arrays import stored_array as stored_arrays
from hashbench.records.store import Store
from hashbench.runs import cell

CONTAINERS = ["npy", "npz", "compressed npz", "parquet", "parquet folder", "hdf5"]


@pytest.fixture(scope="module")
def clusters():
    """Return 400 database vectors, 40 queries and 60 training vectors in five clusters, with their classes."""
    rng = np.random.default_rng(0)
    label = rng.integers(5, size=500)
    X = (2 * rng.standard_normal((5, 12)))[label] + rng.standard_normal((500, 12))
    return X.astype(np.float32), label


def save_table(path, vectors, **columns):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(pa.table({"vector": column, **columns}), path, row_group_size=64)


def save(kind, path, **arrays):
    """Write arrays by their names and return what --data-dir takes."""
    if kind == "npy":
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
        return path
    if kind.endswith("npz"):
        path = path.with_suffix(".npz")
        (np.savez_compressed if kind.startswith("compressed") else np.savez)(path, **arrays)
        return path
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        path = path.with_suffix(".hdf5")
        names = {"database": "train", "query": "test"}
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[names.get(name, name)] = array
        return path
    parts = {name: array for name, array in arrays.items() if name in ("database", "query", "learn")}
    labels = {name: arrays[f"{name}_labels"] for name in parts if f"{name}_labels" in arrays}
    if kind == "parquet folder":
        path.mkdir()
        for name, array in parts.items():
            column = {"label": pa.array(list(labels[name]))} if labels else {}
            pd_table = pa.table({"embedding": pa.array(list(array)), **column})
            pq.write_table(pd_table, path / f"{name}.parquet")
        return path
    path = path.with_suffix(".parquet")
    part = np.concatenate([[name] * len(array) for name, array in parts.items()])
    order = np.argsort(np.random.default_rng(0).random(len(part)))
    for name in parts:  # parts are mixed, each in its own order
        order[part[order] == name] = np.sort(order[part[order] == name])
    columns = {"part": pa.array(part[order])}
    if labels:
        columns["label"] = pa.array(list(np.concatenate(list(labels.values()))[order]))
    save_table(path, np.concatenate(list(parts.values()))[order], **columns)
    return path


@pytest.mark.parametrize("labelled", ["neighbours", "classes", "several labels"])
def test_every_kind_of_file_gives_the_same_record(clusters, tmp_path, cache_dir, labelled):
    X, label = clusters
    arrays = {"database": X[:400], "query": X[400:440], "learn": X[440:]}
    if labelled != "neighbours":
        label = label if labelled == "classes" else np.eye(5, dtype=bool)[label] | np.eye(5, dtype=bool)[::-1][label]
        arrays |= {"database_labels": label[:400], "query_labels": label[400:440], "learn_labels": label[440:]}
    found = {}
    for kind in CONTAINERS:
        place = save(kind, tmp_path / kind, **arrays)
        options = {"methods": "itq", "bits": [8], "dataset": "vectors", "data_dir": place, "in_process": True}
        frame = run(**options, out=tmp_path / "out" / kind, cache_dir=cache_dir)
        assert frame["status"].tolist() == ["ok"]
        (record,) = Store(tmp_path / "out" / kind)
        found[kind] = record.id, record.metrics, record.codes_sha256
        assert record.provenance.startswith("own vectors, ")
        assert str(tmp_path) not in record.provenance
    assert all(one == found["npy"] for one in found.values())
    expected = "vectors/1" if labelled == "neighbours" else "vectors-labels/1"
    assert record.config["protocol"] == expected


@pytest.mark.parametrize("kind", CONTAINERS)
def test_contents_and_order(clusters, tmp_path, kind):
    X, label = clusters
    arrays = {"database": X[:400], "query": X[400:440], "learn": X[440:]}
    labels = {"database_labels": label[:400], "query_labels": label[400:440], "learn_labels": label[440:]}
    dataset = load_dataset("vectors", data_dir=save(kind, tmp_path / "data", **arrays, **labels))
    assert (dataset.features == X).all()
    assert dataset.features.dtype == np.float32
    assert (dataset.labels == label).all()
    assert dataset.split.database.tolist() == list(range(400))
    assert dataset.split.query.tolist() == list(range(400, 440))
    assert dataset.split.train.tolist() == list(range(440, 500))


def brute(X, query, database, k):
    distances = ((X[query][:, None].astype(float) - X[database][None]) ** 2).sum(axis=2)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def test_queries_are_drawn_where_no_part_is_named(clusters, tmp_path, cache_dir, cli):
    X, _ = clusters
    np.save(tmp_path / "mine.npy", X)
    places = [tmp_path / "mine.npy", tmp_path]
    first, second = (load_dataset("vectors", data_dir=place, cache_dir=cache_dir) for place in places)
    assert first.fingerprint == second.fingerprint
    split = first.split
    assert (len(split.query), len(split.database), len(split.train)) == (50, 450, 450)
    assert sorted([*split.query, *split.database]) == list(range(500))
    assert split.query.tolist() == sorted(np.random.default_rng(0).permutation(500)[:50])
    assert (first.neighbors == brute(X, split.query, split.database, 100)).all()
    chosen = load_dataset(
        "vectors", data_dir=tmp_path, cache_dir=cache_dir, protocol="vectors/1[queries=20,training=70]"
    )
    assert (len(chosen.split.query), len(chosen.split.database), len(chosen.split.train)) == (20, 480, 70)
    assert set(chosen.split.train) <= set(chosen.split.database)
    assert chosen.protocol.name == "vectors/1[queries=20,training=70]"
    np.save(tmp_path / "mine.npy", X[:200])
    chosen = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir, protocol="vectors/1[query_share=0.29]")
    assert len(chosen.split.query) == 58  # 0.29 * 200 is a little less in floating point
    np.save(tmp_path / "mine.npy", X[:5])
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "of 5 rows 0 queries")


def test_numbers_that_decide_nothing_are_refused(clusters, tmp_path):
    X, _ = clusters
    place = save("npy", tmp_path / "data", database=X[:400], query=X[400:440], learn=X[440:])
    for number, words in [("queries=20", "name the queries"), ("training=50", "name the training vectors")]:
        with pytest.raises(InputError, match=f"{number} cannot be chosen: the files {words}"):
            load_dataset("vectors", data_dir=place, protocol=f"vectors/1[{number}]")


def test_labels_or_neighbors_as_the_user_chooses(clusters, tmp_path, cache_dir, cli):
    X, label = clusters
    np.save(tmp_path / "vectors.npy", X)
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"]
    done = cli(*arguments, "--protocol", "vectors-labels/1")
    one_clear_line(done, "vectors-labels/1", "no labels", "vectors/1 needs none")
    np.save(tmp_path / "labels.npy", label)
    dataset = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir)
    assert dataset.protocol.name == "vectors-labels/1"
    assert (dataset.labels == label).all()
    dataset = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir, protocol="vectors/1")
    assert dataset.labels is None
    assert dataset.neighbors.shape == (50, 100)
    one_clear_line(cli(*arguments, "--protocol", "vectors/2"), "vectors/2", "vectors/1", "vectors-labels/1")


def test_neighbors_of_the_files_are_used_for_their_own_split_only(clusters, tmp_path, cache_dir):
    X, _ = clusters
    given = brute(X, np.arange(400, 440), np.arange(400), 120).astype(np.int32)
    given[:, 98:100] = given[:, 99:97:-1]  # so that one sees whose they are
    place = save("npy", tmp_path / "data", database=X[:400], query=X[400:440], neighbors=given)
    dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
    assert (dataset.neighbors == given[:, :100]).all()
    (tmp_path / "query.txt").write_text("3\n1\n")
    (tmp_path / "train.txt").write_text("7\n8\n9\n")
    listed = load_dataset("vectors", data_dir=place, cache_dir=cache_dir, splits=tmp_path)
    assert (listed.neighbors == brute(X, listed.split.query, listed.split.database, 100)).all()


def test_queries_that_are_in_the_database_are_counted(clusters, tmp_path, cache_dir):
    X, _ = clusters
    for n_equal, database in ((0, X[:400]), (3, np.concatenate([X[:397], X[420:423]]))):
        place = save("npy", tmp_path / str(n_equal), database=database, query=X[400:440])
        dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
        found = "3 of 40 queries equal an item of the database (row 420 = row 397 the first)" in dataset.summary[-1]
        assert found == (n_equal > 0)


@pytest.mark.parametrize("column", ["part", "Split"])
@pytest.mark.parametrize("database", [("Database", "database", "gallery"), ("TRAIN", "train", "Training")])
def test_parts_of_rows_have_many_names(clusters, tmp_path, cache_dir, column, database):
    X, _ = clusters
    words = [[*database, "learn", "Test", "queries", "valid"][row % 7] for row in range(len(X))]
    save_table(tmp_path / "a.parquet", X, **{column: words})
    split = load_dataset("vectors", data_dir=tmp_path / "a.parquet", cache_dir=cache_dir).split
    assert len(split.query) == words.count("Test") + words.count("queries")
    assert len(split.train) == words.count("learn")
    assert len(split.database) == sum(map(words.count, database))


def test_files_of_parts_are_known_whatever_their_case(clusters, tmp_path, cache_dir):
    X, _ = clusters
    np.save(tmp_path / "Gallery.npy", X[:400])
    np.save(tmp_path / "TEST.npy", X[400:440])
    split = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir).split
    assert (len(split.query), len(split.database)) == (40, 400)
    np.savez(tmp_path / "x.npz", Training=X[:400], Query=X[400:440])
    split = load_dataset("vectors", data_dir=tmp_path / "x.npz", cache_dir=cache_dir).split
    assert (len(split.query), len(split.database)) == (40, 400)
    np.savez(tmp_path / "x.npz", Query=X[:400], query=X[400:440], database=X)
    with pytest.raises(InputError, match=r"x\.npz has query twice, in capitals and not"):
        load_dataset("vectors", data_dir=tmp_path / "x.npz", cache_dir=cache_dir)


def test_a_database_is_encoded_in_parts_to_the_same_codes(tmp_path, cache_dir, monkeypatch):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(5).standard_normal((3000, 24)).astype(np.float32))
    np.save(tmp_path / "labels.npy", np.arange(3000) % 7)
    options = {"dataset": "vectors", "data_dir": tmp_path, "methods": "itq,sph,agh", "bits": [16], "in_process": True}
    found = []
    for rows in (cell.ENCODE_ROWS, 1024):
        monkeypatch.setattr(cell, "ENCODE_ROWS", rows)
        out = tmp_path / f"out{rows}"
        run(**options, out=out, cache_dir=cache_dir)
        found.append([(record.id, record.codes_sha256) for record in Store(out)])
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_angular_files_have_angular_neighbors(clusters, tmp_path, cache_dir):
    h5py = pytest.importorskip("h5py")
    X, _ = clusters
    X = X * np.random.default_rng(2).uniform(0.1, 10, (500, 1)).astype(np.float32)
    found = {}
    for distance in ("euclidean", "angular"):
        with h5py.File(tmp_path / f"{distance}.hdf5", "w") as file:
            file["train"], file["test"], file.attrs["distance"] = X[:400], X[400:], distance
        dataset = load_dataset("vectors", data_dir=tmp_path / f"{distance}.hdf5", cache_dir=cache_dir)
        assert (dataset.features == X).all()
        found[distance] = dataset.neighbors
    directions = X.astype(float) / np.linalg.norm(X.astype(float), axis=1)[:, None]
    similarity = directions[400:] @ directions[:400].T
    assert (found["angular"] == np.argsort(-similarity, axis=1)[:, :100]).all()
    assert (found["angular"] != found["euclidean"]).any()


@pytest.mark.parametrize("dtype", ["float16", ">f4", "float64", "uint8", "int8", "int16", "uint16"])
@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "hdf5"])
def test_numbers_are_the_same_items_as_their_float32_values(tmp_path, cache_dir, dtype, kind):
    if kind == "parquet" and dtype == ">f4":
        pytest.skip("parquet has one byte order")
    values = np.random.default_rng(3).integers(0, 100, (160, 6)).astype(dtype)
    place = save(kind, tmp_path / "data", database=values[:130], query=values[130:])
    dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
    assert dataset.features.itemsize == min(4, np.dtype(dtype).itemsize)
    assert dataset.data_fingerprint == fingerprint_of(values.astype(np.float32))
    assert (dataset.features == values.astype(np.float32)).all()


def test_fortran_order_is_read_by_rows(tmp_path, cache_dir, clusters):
    X, _ = clusters
    for kind in ("npy", "npz"):
        place = save(kind, tmp_path / kind, vectors=np.asfortranarray(X))
        assert (load_dataset("vectors", data_dir=place, cache_dir=cache_dir).features == X).all()


@pytest.mark.parametrize("kind", ["one npy", "npy", "npz", "compressed npz", "hdf5"])
def test_large_files_are_copied_at_most_once(tmp_path, monkeypatch, kind):
    from hashbench.data.readers.vectors import read_vectors

    monkeypatch.setattr(stored_arrays, "BLOCK_BYTES", 2**19)
    X = np.random.default_rng(4).random((10_000, 500), dtype=np.float32)
    place = save("npy", tmp_path / "data", vectors=X) if kind == "one npy" else None
    place = place or save(kind, tmp_path / "data", database=X[:9000], query=X[9000:])
    read_vectors(place, 100)
    tracemalloc.start()
    items = read_vectors(place, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (items.features == X).all()
    assert peak < (0.1 if kind == "one npy" else 1.2) * X.nbytes
    assert isinstance(items.features, np.memmap) == (kind == "one npy")


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


def test_bad_files_get_one_clear_line(clusters, tmp_path, cli):
    seen = set()
    for what, name, content, words in bad_files(*clusters):
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


def test_rows_without_a_label_may_be_in_the_database(clusters, tmp_path):
    X, label = clusters
    marks = np.eye(5, dtype=bool)[label]
    marks[7] = False
    arrays = {"database": X[:400], "query": X[400:], "database_labels": marks[:400], "query_labels": marks[400:]}
    data = load_dataset("vectors", data_dir=save("npz", tmp_path / "data", **arrays))
    assert (data.labels == marks).all()


@pytest.mark.parametrize("kind", ["npz", "compressed npz", "parquet", "hdf5", "npy"])
def test_more_than_the_memory_is_refused_before_it_is_taken(clusters, tmp_path, cli, monkeypatch, kind):
    X, _ = clusters
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


def test_bad_hdf5_files_get_one_clear_line(clusters, tmp_path, cli):
    h5py = pytest.importorskip("h5py")
    X, _ = clusters
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


def test_a_missing_h5py_names_the_extra(clusters, tmp_path, cli, monkeypatch):
    path = save("hdf5", tmp_path / "data", database=clusters[0], query=clusters[0])
    monkeypatch.setitem(sys.modules, "h5py", None)
    done = cli("run", "--dataset", "vectors", "--methods", "lsh", "--data-dir", path, "--out", tmp_path / "out")
    one_clear_line(done, str(path), "h5py", "pip install 'hashbench[hdf5]'")


@pytest.mark.usefixtures("empty_cache")
def test_places_that_hold_nothing(clusters, tmp_path, cli):
    X, label = clusters
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


@pytest.fixture(scope="module")
def finished(clusters, tmp_path_factory, cli):
    X, _ = clusters
    folder = tmp_path_factory.mktemp("finished")
    place = save("npy", folder / "data", database=X[:440], query=X[440:])
    arguments = ["--dataset", "vectors", "--data-dir", place, "--methods", "itq,lsh,cibhash", "--bits", "8,12"]
    arguments += ["--seeds", "0,1", "--out", folder / "out"]
    done = cli("run", *arguments, "--save-models")
    assert done.returncode == 0, done.stderr
    return folder / "out", done, arguments


def test_tables_show_recalls_and_skip_what_needs_images(finished, cli):
    out, done, arguments = finished
    titles = [line for line in done.stdout.splitlines() if "vectors (vectors/1, own vectors, folder of .npy)" in line]
    assert [title.partition(":")[0] for title in titles] == ["recall@10", "recall10@100", "recall10@1000", "recall@100"]
    assert all(title.endswith("features: given") for title in titles)
    assert "cibhash, 4 cells: skipped: it trains on augmented images" in done.stdout
    assert "not separable from the best of its column" in done.stdout
    again = cli("run", *arguments, "--save-models")
    assert again.stdout == done.stdout
    assert (again.stderr.count("already in"), again.stderr.count("skipped before")) == (8, 4)
    frame = pd.read_csv(out / "results.csv")
    scored = frame[frame["status"] == "ok"]
    assert len(scored) == 8
    assert (scored["backbone"] == "given").all()
    assert (scored["recall@10"] <= scored["recall10@100"]).all()
    assert (scored["recall10@1000"] == 1).all()  # there are fewer vectors than that
    assert scored["recall@10"].between(0.02, 1).all()


def test_a_record_can_be_scored_again_without_the_files(finished):
    from hashbench import evaluate

    out, _, _ = finished
    store = Store(out)
    for record in store:
        if record.status == "ok":
            arrays, relevance = store.arrays(record.id), store.relevance(record.config["data"])
            assert set(relevance) == {"neighbors"}
            codes = arrays["query_codes"], arrays["database_codes"]
            again = evaluate(*codes, metrics=list(record.metrics), n_bits=record.config["n_bits"], **relevance)
            assert dict(again) == record.metrics
            for name, value in record.metrics.items():
                assert arrays[f"per_query:{name}"].mean() == value
            assert arrays["rank_recall"][-1] == pytest.approx(1)


def test_figures_leaderboard_audit_and_models_of_neighbor_records(finished, clusters, cli, tmp_path):
    out, _, _ = finished
    done = cli("plot", out, "--to", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {"recall_10_by_bits", "recall10_100_by_bits", "recall_100_by_bits", "pr_curve_8bits"} <= drawn
    assert cli("publish", out, "--to", tmp_path / "boards").returncode == 0
    done = cli("validate", tmp_path / "boards" / "vectors.csv")
    assert done.returncode == 0, done.stdout
    board = pd.read_csv(tmp_path / "boards" / "vectors.csv")
    assert {"recall@10", "recall10@100", "recall@10 std"} <= set(board)
    assert (board["backbone"] == "given").all()
    one_clear_line(cli("audit", out), "every record is scored by true neighbours")
    np.save(tmp_path / "more.npy", clusters[0][:7])
    model = next((out / "models").iterdir())
    assert cli("encode", model, tmp_path / "more.npy", "-o", tmp_path / "codes.npy").returncode == 0
    assert len(np.load(tmp_path / "codes.npy")) == 7


def test_audit_leaves_out_records_of_neighbors(finished, clusters, tmp_path, cli):
    import shutil

    out, _, _ = finished
    shutil.copytree(out, tmp_path / "both")
    X, label = clusters
    place = save("npy", tmp_path / "data", vectors=X, labels=label)
    arguments = ["--dataset", "vectors", "--data-dir", place, "--methods", "lsh", "--bits", 8, "--out"]
    assert cli("run", *arguments, tmp_path / "both").returncode == 0
    done = cli("audit", tmp_path / "both")
    assert done.returncode == 0, done.stderr
    assert "8 records are left out: they are scored by true neighbours" in done.stderr
    assert "lsh" in done.stdout
    assert "itq" not in done.stdout
    (damaged_file,) = (tmp_path / "both" / "labels").glob(f"{next(iter(Store(out))).config['data'][:32]}*")
    np.savez(damaged_file, other=np.zeros(3))
    one_clear_line(cli("audit", tmp_path / "both"), "is damaged", "other", "delete it")
