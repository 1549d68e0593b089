"""Vectors in the files of the large benchmarks, as they are: .fvecs, .fbin and kin, HDF5, what `datasets` writes."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench import InputError, load_dataset, run
from hashbench.data.items import fingerprint_of
from hashbench.data.readers import vectors as reader
from hashbench.data.readers.arrays import stored_array
from hashbench.data.readers.arrays.array_formats import open_file
from hashbench.data.readers.vectors import read_vectors
from hashbench.records.store import Store

WRITTEN_AS = {
    ".fvecs": "<f4", ".bvecs": "u1", ".ivecs": "<i4",
    ".fbin": "<f4", ".f16bin": "<f2", ".u8bin": "u1", ".i8bin": "i1", ".ibin": "<i4",
}  # fmt: skip


def content_of(suffix, X):
    """Return the bytes of a file: a length before each row, or two counts before all."""
    X = np.asarray(X, WRITTEN_AS[suffix])
    if suffix.endswith("vecs"):
        return b"".join(np.int32(X.shape[1]).tobytes() + row.tobytes() for row in X)
    return np.array(X.shape, "<u4").tobytes() + X.tobytes()


def save(path, X):
    path.write_bytes(content_of(path.suffix, X))
    return path


@pytest.fixture(scope="module")
def X():
    """Return 460 vectors of 12 values that every one of the types holds."""
    return np.random.default_rng(0).integers(0, 100, (460, 12)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), suffix=st.sampled_from(sorted(WRITTEN_AS)), blocks=st.integers(1, 200))
def test_what_was_written_is_read(tmp_path_factory, data, suffix, blocks):
    dtype = np.dtype(WRITTEN_AS[suffix])
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    size = shape[0] * shape[1] * dtype.itemsize
    X = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)
    file = tmp_path_factory.mktemp("rows") / f"x{suffix}"
    file.write_bytes(content_of(suffix, X))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_array, "BLOCK_BYTES", blocks)
        (stored,) = open_file(file).arrays.values()
        numbers, read = (np.concatenate(parts) for parts in zip(*stored.blocks(), strict=True))
    assert (stored.shape, stored.dtype) == (shape, dtype)
    assert (numbers == np.arange(len(X))).all()
    assert read.tobytes() == X.tobytes() == np.ascontiguousarray(stored.mapped).tobytes()


@settings(max_examples=60, deadline=None)
@given(
    suffix=st.sampled_from(sorted(WRITTEN_AS)),
    at=st.integers(0, 100),
    byte=st.integers(0, 255),
    cut=st.integers(0, 100),
)
def test_a_damaged_file_is_an_input_error_or_other_numbers(tmp_path_factory, suffix, at, byte, cut):
    content = bytearray(content_of(suffix, np.arange(20).reshape(4, 5)))
    content[at % len(content)] = byte
    file = tmp_path_factory.mktemp("rows") / f"x{suffix}"
    file.write_bytes(content[: len(content) - cut % len(content)])
    try:
        stored = open_file(file).arrays["vectors"]
        read = stored.read()
    except InputError as error:
        message, shapes = str(error), []
    else:
        message, shapes = str(file), [read.shape, stored.shape]
    assert str(file) in message
    assert shapes[:1] == shapes[1:]


@pytest.mark.slow
def test_every_file_gives_the_same_record(tmp_path, cache_dir, X):
    database, query, learn = X[:400], X[400:440], X[440:]
    folders = {name: tmp_path / name for name in ("npy", "texmex", "big-ann", "uint8", "float16", "mixed")}
    for folder in folders.values():
        folder.mkdir()
    for name, part in (("database", database), ("query", query), ("learn", learn)):
        np.save(folders["npy"] / f"{name}.npy", part)
        save(folders["uint8"] / f"{name}.u8bin", part)
        save(folders["float16"] / f"{name}.f16bin", part)
        save(folders["mixed"] / f"{name}{'.i8bin' if name == 'query' else '.bvecs'}", part)
    for name, part in (("base", database), ("query", query), ("learn", learn)):
        save(folders["texmex"] / f"sift_{name}.fvecs", part)
        save(folders["big-ann"] / f"{name}.10M.fbin", part)
    records, kept = set(), {}
    for name, folder in folders.items():
        dataset = load_dataset("vectors", data_dir=folder, cache_dir=cache_dir)
        assert dataset.data_fingerprint == fingerprint_of(X)
        kept[name] = dataset.features.dtype.str[1:]
        if name not in ("npy", "float16", "mixed"):
            continue
        run(
            dataset="vectors", data_dir=folder, methods="itq", bits=[8], out=tmp_path / "out" / name,
            cache_dir=cache_dir, in_process=True,
        )  # fmt: skip
        (record,) = Store(tmp_path / "out" / name)
        records.add((record.id, record.codes_sha256["database_codes"], record.metrics["recall@10"]))
    assert len(records) == 1
    assert kept == {"npy": "f4", "texmex": "f4", "big-ann": "f4", "uint8": "u1", "float16": "f2", "mixed": "i2"}


@pytest.mark.parametrize("suffix", [".fbin", ".f16bin", ".u8bin", ".fvecs", ".bvecs"])
def test_one_file_is_mapped_and_not_copied_into_memory(tmp_path, suffix):
    X = np.random.default_rng(1).integers(0, 200, (20_000, 100)).astype(WRITTEN_AS[suffix])
    file = save(tmp_path / f"x{suffix}", X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_array, "BLOCK_BYTES", 2**16)
        read_vectors(file, 100)
        tracemalloc.start()
        features = read_vectors(file, 100).features
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert isinstance(features, np.memmap)
    assert (features == X).all()
    assert peak < 0.3 * X.nbytes


def test_what_is_prepared_of_one_file_stays_where_it_is(tmp_path, empty_cache, X):
    def copied(suffix):
        load_dataset("vectors", data_dir=save(tmp_path / f"x{suffix}", X), cache_dir=empty_cache)
        (copy,) = [len(list(folder.glob("features.bin"))) for folder in (empty_cache / "datasets").glob("vectors-*")]
        for entry in (empty_cache / "datasets").glob("vectors-*"):
            entry.rename(tmp_path / f"{entry.name}{suffix}")
        return copy

    assert {suffix: copied(suffix) for suffix in (".fbin", ".f16bin", ".fvecs")} == {
        ".fbin": 0,
        ".f16bin": 0,
        ".fvecs": 1,  # without the lengths between its rows
    }


def test_a_large_copy_is_on_the_disk(tmp_path, monkeypatch, X):
    for name, part in (("database", X[:400]), ("query", X[400:])):
        save(tmp_path / f"{name}.fvecs", part)
    in_memory = read_vectors(tmp_path, 100, tmp_path).features
    monkeypatch.setattr(reader, "IN_MEMORY", 1000)
    on_disk = read_vectors(tmp_path, 100, tmp_path).features
    assert (isinstance(in_memory, np.memmap), isinstance(on_disk, np.memmap)) == (False, True)
    assert (in_memory == X).all()
    assert (on_disk == X).all()
    assert {file.suffix for file in tmp_path.iterdir()} == {".fvecs"}


def test_true_neighbours_of_the_files_are_used(tmp_path, cache_dir, X):
    truth = nearest(X[400:], X[:400])[:, :110]
    truth[:, 98:100] = truth[:, 99:97:-1]  # so that one sees whose they are
    for kind, distances in (("vecs", b""), ("bin", np.ones((60, 110), "<f4").tobytes())):
        folder = tmp_path / kind
        folder.mkdir()
        save(folder / f"sift_base.f{kind}", X[:400])
        save(folder / f"sift_query.f{kind}", X[400:])
        (folder / f"sift_groundtruth.i{kind}").write_bytes(content_of(f".i{kind}", truth) + distances)
        dataset = load_dataset("vectors", data_dir=folder, cache_dir=cache_dir)
        assert (dataset.neighbors == truth[:, :100]).all()


def bad_files(X):
    """Yield (name, content, words of the message)."""
    rows = content_of(".fvecs", X)
    shorter = content_of(".fvecs", X[:100]) + content_of(".fvecs", X[100:, :11])
    other = bytearray(rows)
    other[52 * 7 : 52 * 7 + 4] = np.int32(13).tobytes()
    yield "a.fvecs", shorter, ["a.fvecs", "row 100 says that it has 11 values, row 0 12", "same length"]
    yield "a.fvecs", bytes(other), ["a.fvecs", "row 7 says that it has 13 values"]
    yield "a.bvecs", content_of(".bvecs", X[:5])[:-3], ["a.bvecs is cut short", "13 bytes", "fetch it again"]
    yield "a.fvecs", b"", ["a.fvecs holds no vector"]
    yield "a.fvecs", b"\0\0", ["a.fvecs holds no vector"]
    yield "a.fvecs", np.int32(-3).tobytes() + rows, ["row 0 says that it has -3 values"]
    yield "a.fvecs", np.int32(10**9).tobytes() + rows, ["row 0 says that it has 1,000,000,000 values"]
    good = content_of(".fbin", X)
    lie = np.array([10**6, 12], "<u4").tobytes() + good[8:]
    yield "a.fbin", lie, ["a.fbin", "header says 1,000,000 rows of 12 values, 48,000,008 bytes; the file has 22,088"]
    yield "a.fbin", good[:-4], ["a.fbin", "header says 460 rows", "the file has 22,084"]
    yield "a.u8bin", good + b"x", ["a.u8bin", "header says", "fetch it again"]
    yield "a.fbin", good[:5], ["a.fbin has 5 bytes, less than the header"]
    yield "a.fbin", np.array([0, 12], "<u4").tobytes(), ["a.fbin has 0 rows of 12 values"]
    yield "a.ibin", content_of(".ibin", X), ["a.ibin", "int32", "expected floats"]
    holes = X.copy()
    holes[300, 2] = np.nan
    yield "a.fvecs", content_of(".fvecs", holes), ["a.fvecs: row 300 holds NaN"]


@pytest.mark.parametrize("case", range(14))
def test_bad_files_give_one_clear_line(tmp_path, empty_cache, cli, X, case):
    name, content, words = list(bad_files(X))[case]
    (tmp_path / name).write_bytes(content)
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path / name, "--methods", "lsh"]
    one_clear_line(cli(*arguments, "--out", tmp_path / "out"), *words)
    assert not list((empty_cache / "datasets").glob("*/"))


def hdf5(path, arrays, **attributes):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update(attributes)
    return path


def nearest(query, database, similarity="euclidean"):
    """Return all rows of the database, nearest first, by float64."""
    query, database = query.astype(float), database.astype(float)
    if similarity == "cosine":
        query, database = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (query, database))
    far = -query @ database.T if similarity == "ip" else ((query[:, None] - database) ** 2).sum(axis=2)
    return np.argsort(far, axis=1, kind="stable")


def test_files_of_ann_benchmarks_and_vibe_are_read_as_they_are(tmp_path, cache_dir, X):
    truths = {name: nearest(X[400:], X[:400], name)[:, :100] for name in ("euclidean", "cosine", "ip")}
    distances = np.sort(np.random.default_rng(2).random((60, 100)), axis=1)
    arrays = {"train": X[:400], "test": X[400:], "distances": distances}
    written = [
        hdf5(
            tmp_path / "ann.hdf5", {**arrays, "neighbors": truths["cosine"].astype(np.int32)},
            distance="angular", dimension=12, type="dense", point_type="float",
        ),
        hdf5(
            tmp_path / "vibe.hdf5",
            {
                **arrays, "neighbors": truths["euclidean"].astype(np.int32), "avg_distances": distances[:, 0],
                "learn": X[:30] + 1, "learn_neighbors": truths["euclidean"][:30],
            },
            distance="normalized", dimension=12, point_type="float",
        ),
        hdf5(tmp_path / "ip.hdf5", {**arrays, "neighbors": truths["ip"]}, distance="ip", dimension=12),
    ]  # fmt: skip
    loaded = [load_dataset("vectors", data_dir=file, cache_dir=cache_dir) for file in written]
    assert {dataset.data_fingerprint for dataset in loaded} == {fingerprint_of(X)}  # VIBE's learn are more queries
    for dataset, similarity in zip(loaded, ("cosine", "euclidean", "ip"), strict=True):
        assert (dataset.neighbors == truths[similarity]).all()
        assert dataset.protocol.similarity == similarity
    assert all(dataset.split.train.tolist() == list(range(400)) for dataset in loaded)


def test_packed_bits_are_no_vectors(tmp_path, cli):
    bits = np.random.default_rng(0).integers(0, 256, (300, 8), np.uint8)
    file = hdf5(tmp_path / "b.hdf5", {"train": bits[:200], "test": bits[200:]}, distance="hamming", point_type="binary")
    arguments = ["run", "--dataset", "vectors", "--data-dir", file, "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "b.hdf5 holds packed bits", "float file")


def table(X, kind, name="embeddings"):
    """Return what `datasets` writes of a column, with the line on its features that it adds."""
    if kind == "fixed":
        column = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])
    else:
        column = pa.array(list(X), pa.large_list(pa.float32()) if kind == "large" else pa.list_(pa.float32()))
    texts = pa.array([f"row {row}" for row in range(len(X))])
    written = pa.table({"text": texts, name: column, "label": pa.array(np.arange(len(X)) % 3)})
    return written.replace_schema_metadata({"huggingface": '{"info": {"features": {}}}'})


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "end"), [("fixed", ""), ("list", ""), ("large", ""), ("fixed", "-b42a5b2d5a1b9f8f")])
def test_a_parquet_that_datasets_wrote_is_read(tmp_path, cache_dir, X, kind, end):
    pq.write_table(table(X, kind), tmp_path / "train.parquet", row_group_size=100)
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, rows in enumerate(np.split(np.arange(len(X)), [100, 101])):
        pq.write_table(table(X[rows], kind), folder / f"train-{number:05}-of-00003{end}.parquet")
    for path in (tmp_path / "train.parquet", folder):
        dataset = load_dataset("vectors", data_dir=path, cache_dir=cache_dir)
        assert dataset.data_fingerprint == fingerprint_of(X)
        assert (dataset.labels == np.arange(len(X)) % 3)[:100].all()
    for number, rows in enumerate(np.split(np.arange(60), [40])):
        pq.write_table(table(X[rows], kind), folder / f"test-{number:05}-of-00002{end}.parquet")
    dataset = load_dataset("vectors", data_dir=folder, cache_dir=cache_dir)
    assert (len(dataset.split.database), len(dataset.split.query)) == (460, 60)


def test_shards_that_do_not_fit_are_refused(tmp_path, cli, X):
    pq.write_table(table(X[:200], "fixed"), tmp_path / "train-00000-of-00002.parquet")
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "1 of the 2 files train-*", "fetch it again")
    pq.write_table(table(X[:200, :5], "fixed"), tmp_path / "train-00001-of-00002.parquet")
    one_clear_line(cli(*arguments), "train-00001-of-00002.parquet", "expected the same width")
    pq.write_table(table(X[:200], "fixed").drop(["label"]), tmp_path / "train-00001-of-00002.parquet")
    one_clear_line(cli(*arguments), "train-00001-of-00002.parquet has no labels", "same columns")
    two = table(X[:200], "fixed").append_column("other", table(X[:200], "list")["embeddings"])
    pq.write_table(two, tmp_path / "two.parquet")
    arguments[4] = tmp_path / "two.parquet"
    one_clear_line(cli(*arguments), "columns text, embeddings, label, other", "one column of lists of floats")
