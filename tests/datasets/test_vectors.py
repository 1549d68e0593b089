"""The user's own vectors: every kind of file gives the same records, and what is wrong with one is named."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from vector_files import save, save_table

from hashbench import InputError, load_dataset, run
from hashbench.data.items import fingerprint_of
from hashbench.data.readers.arrays import stored_array as stored_arrays
from hashbench.records.store import Store
from hashbench.runs import measures

CONTAINERS = ["npy", "npz", "compressed npz", "parquet", "parquet folder", "hdf5"]


@pytest.mark.slow
@pytest.mark.parametrize("labelled", ["neighbours", "classes", "several labels"])
def test_every_kind_of_file_gives_the_same_record(labelled_clusters, tmp_path, cache_dir, labelled):
    X, label = labelled_clusters
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
def test_contents_and_order(labelled_clusters, tmp_path, kind):
    X, label = labelled_clusters
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


@pytest.mark.slow
def test_queries_are_drawn_where_no_part_is_named(labelled_clusters, tmp_path, cache_dir, cli):
    X, _ = labelled_clusters
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


def test_numbers_that_decide_nothing_are_refused(labelled_clusters, tmp_path):
    X, _ = labelled_clusters
    place = save("npy", tmp_path / "data", database=X[:400], query=X[400:440], learn=X[440:])
    for number, words in [("queries=20", "name the queries"), ("training=50", "name the training vectors")]:
        with pytest.raises(InputError, match=f"{number} cannot be chosen: the files {words}"):
            load_dataset("vectors", data_dir=place, protocol=f"vectors/1[{number}]")


def test_labels_or_neighbors_as_the_user_chooses(labelled_clusters, tmp_path, cache_dir, cli):
    X, label = labelled_clusters
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


def test_neighbors_of_the_files_are_used_only_for_their_split(labelled_clusters, tmp_path, cache_dir):
    X, _ = labelled_clusters
    given = brute(X, np.arange(400, 440), np.arange(400), 120).astype(np.int32)
    given[:, 98:100] = given[:, 99:97:-1]  # so that one sees whose they are
    place = save("npy", tmp_path / "data", database=X[:400], query=X[400:440], neighbors=given)
    dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
    assert (dataset.neighbors == given[:, :100]).all()
    (tmp_path / "query.txt").write_text("3\n1\n")
    (tmp_path / "train.txt").write_text("7\n8\n9\n")
    listed = load_dataset("vectors", data_dir=place, cache_dir=cache_dir, splits=tmp_path)
    assert (listed.neighbors == brute(X, listed.split.query, listed.split.database, 100)).all()


def test_queries_that_are_in_the_database_are_counted(labelled_clusters, tmp_path, cache_dir):
    X, _ = labelled_clusters
    for n_equal, database in ((0, X[:400]), (3, np.concatenate([X[:397], X[420:423]]))):
        place = save("npy", tmp_path / str(n_equal), database=database, query=X[400:440])
        dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
        found = "3 of 40 queries equal an item of the database (row 420 = row 397 the first)" in dataset.summary[-1]
        assert found == (n_equal > 0)


@pytest.mark.parametrize("column", ["part", "Split"])
@pytest.mark.parametrize("database", [("Database", "database", "gallery"), ("TRAIN", "train", "Training")])
def test_parts_of_rows_have_many_names(labelled_clusters, tmp_path, cache_dir, column, database):
    X, _ = labelled_clusters
    words = [[*database, "learn", "Test", "queries", "valid"][row % 7] for row in range(len(X))]
    save_table(tmp_path / "a.parquet", X, **{column: words})
    split = load_dataset("vectors", data_dir=tmp_path / "a.parquet", cache_dir=cache_dir).split
    assert len(split.query) == words.count("Test") + words.count("queries")
    assert len(split.train) == words.count("learn")
    assert len(split.database) == sum(map(words.count, database))


@pytest.mark.slow
def test_files_of_parts_are_known_whatever_their_case(labelled_clusters, tmp_path, cache_dir):
    X, _ = labelled_clusters
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
    for rows in (measures.ENCODE_ROWS, 1024):
        monkeypatch.setattr(measures, "ENCODE_ROWS", rows)
        out = tmp_path / f"out{rows}"
        run(**options, out=out, cache_dir=cache_dir)
        found.append([(record.id, record.codes_sha256) for record in Store(out)])
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_angular_files_have_angular_neighbors(labelled_clusters, tmp_path, cache_dir):
    h5py = pytest.importorskip("h5py")
    X, _ = labelled_clusters
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


def test_fortran_order_is_read_by_rows(tmp_path, cache_dir, labelled_clusters):
    X, _ = labelled_clusters
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


@pytest.fixture(scope="module")
def finished(labelled_clusters, tmp_path_factory, cli):
    X, _ = labelled_clusters
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


def test_figures_leaderboard_audit_and_models_of_neighbor_records(finished, labelled_clusters, cli, tmp_path):
    out, _, _ = finished
    done = cli("plot", out, "--to", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    by_length = {f"{metric}_by_code_length" for metric in ("recall_10", "recall10_100", "recall_100")}
    assert by_length | {"precision_and_recall_8_bits"} <= drawn
    assert cli("publish", out, "--to", tmp_path / "boards").returncode == 0
    done = cli("validate", tmp_path / "boards" / "vectors.csv")
    assert done.returncode == 0, done.stdout
    board = pd.read_csv(tmp_path / "boards" / "vectors.csv")
    assert {"recall@10", "recall10@100", "recall@10 std"} <= set(board)
    assert (board["backbone"] == "given").all()
    one_clear_line(cli("audit", out), "every record is scored by true neighbours")
    np.save(tmp_path / "more.npy", labelled_clusters[0][:7])
    model = next((out / "models").iterdir())
    assert cli("encode", model, tmp_path / "more.npy", "-o", tmp_path / "codes.npy").returncode == 0
    assert len(np.load(tmp_path / "codes.npy")) == 7


def test_audit_leaves_out_records_of_neighbors(finished, labelled_clusters, tmp_path, cli):
    import shutil

    out, _, _ = finished
    shutil.copytree(out, tmp_path / "both")
    X, label = labelled_clusters
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
