"""By what vectors are near, and what is known of it: ranking, given neighbours, rounding; right values by float64."""

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import InputError, load_dataset, load_model, run
from hashbench.models.encode import encode_input
from hashbench.plugins.registry import Registry

SIMILARITIES = ["euclidean", "cosine", "ip"]


def nearest(query, database, similarity, k=100):
    """Return the rows of the k nearest, by float64."""
    query, database = query.astype(float), database.astype(float)
    if similarity == "cosine":
        query, database = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (query, database))
    far = -query @ database.T if similarity == "ip" else ((query[:, None] - database) ** 2).sum(axis=2)
    return np.argsort(far, axis=1, kind="stable")[:, :k]


@pytest.fixture(scope="module")
def lengths():
    """Return vectors of many lengths: by each similarity other ones are near."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((660, 16)) * rng.lognormal(0, 0.7, (660, 1))).astype(np.float32)
    return X[:600], X[600:]


@pytest.fixture
def folder(lengths, tmp_path):
    (tmp_path / "data").mkdir()
    for name, rows in zip(("database", "query"), lengths, strict=True):
        np.save(tmp_path / "data" / f"{name}.npy", rows)
    return tmp_path / "data"


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("name", ["float32", "int8", "rabitq", "bbq", "pq", "faiss_rabitq"])
def test_every_quantizer_ranks_by_every_similarity(lengths, similarity, name):
    """What is lost to the float32 ranking is the quantizer's error, not another question's answer."""
    if name in ("pq", "faiss_rabitq"):
        pytest.importorskip("faiss")
    database, query = lengths
    if similarity == "cosine":
        database, query = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in lengths)
    params = {"pq": {"n_bits": 64}, "faiss_rabitq": {"bits": 4}}.get(name, {})
    quantizer = Registry().find("quantizers", name).load()(**params).fit(database)
    rows = quantizer.searcher(quantizer.encode(database), similarity)(query, 100)
    true = nearest(query, database, similarity)
    shared = {"float32": 1.0, "int8": 0.95, "rabitq": 0.6, "bbq": 0.6, "pq": 0.6, "faiss_rabitq": 0.85}[name]
    recall = np.mean([len(set(a) & set(b)) / 100 for a, b in zip(rows, true, strict=True)])
    others = [other for other in SIMILARITIES if other != similarity]
    elsewhere = [
        np.mean([len(set(a) & set(b)) for a, b in zip(nearest(query, database, one), true, strict=True)])
        for one in others
    ]
    assert recall >= shared
    if similarity == "ip" and name not in ("rabitq", "bbq"):  # one bit of so few dimensions errs as much
        assert recall > max(elsewhere) / 100


def test_products_of_decoded_vectors_are_the_inner_products(lengths):
    database, query = lengths
    quantizer = Registry().find("quantizers", "float32").load()().fit(database)
    products = quantizer.products(query, quantizer.encode(database))
    np.testing.assert_allclose(products, -query.astype(float) @ database.astype(float).T, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_the_similarity_is_part_of_protocol_and_record(folder, tmp_path, cache_dir, lengths):
    ids = set()
    for similarity in SIMILARITIES:
        options = {"dataset": "vectors", "data_dir": folder, "methods": "float32,lsh", "bits": [16], "in_process": True}
        frame = run(**options, similarity=similarity, out=tmp_path / similarity, cache_dir=cache_dir)
        assert frame["status"].tolist() == ["ok", "ok"]
        assert frame.set_index("method").loc["float32", "recall@100"] == 1
        name = "vectors/1" if similarity == "euclidean" else f"vectors/1[similarity={similarity}]"
        assert set(frame["protocol"]) == {f"{name}+bytes"}
        ids |= {path.name for path in (tmp_path / similarity / "records").glob("*.json")}
        named = load_dataset(
            "vectors", data_dir=folder, cache_dir=cache_dir, protocol=f"vectors/1[similarity={similarity}]"
        )
        assert (named.neighbors == nearest(lengths[1], lengths[0], similarity)).all()
    assert len(ids) == 6


def test_what_contradicts_itself_or_cannot_be_served_is_refused(folder, tmp_path, cli, lengths):
    arguments = ["run", "--dataset", "vectors", "--methods", "lsh", "--out", tmp_path / "out", "--data-dir"]
    two = ("--similarity", "ip", "--protocol", "vectors/1[similarity=cosine]")
    one_clear_line(cli(*arguments, folder, *two), "--similarity ip", "differ")
    one_clear_line(cli(*arguments, folder, "--similarity", "hamming"), "--similarity hamming", "euclidean, cosine, ip")
    one_clear_line(cli(*arguments, folder, "--protocol", "vectors/1[similarity=l2]"), "similarity=l2", "euclidean")
    done = cli("run", "--dataset", "digits", "--methods", "lsh", "--similarity", "cosine", "--out", tmp_path / "out")
    one_clear_line(done, "--similarity: digits has no use for it")
    twice = ("--protocol", "vectors/1[validation=0.5,validation=0.1]")
    one_clear_line(cli(*arguments, folder, *twice), "validation is given twice")
    h5py = pytest.importorskip("h5py")
    database, query = lengths
    for word in ("hamming", "jaccard"):
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            file["train"], file["test"], file.attrs["distance"] = database, query, word
            file["neighbors"] = nearest(query, database, "euclidean")
        one_clear_line(cli(*arguments, tmp_path / "a.hdf5"), f"its distance is '{word}'", "--similarity")
    chosen = load_dataset("vectors", data_dir=tmp_path / "a.hdf5", cache_dir=tmp_path / "c", similarity="cosine")
    assert (chosen.neighbors == nearest(query, database, "cosine")).all()
    np.save(folder / "query.npy", np.concatenate([query, np.zeros_like(query[:1])]))
    one_clear_line(cli(*arguments, folder, "--similarity", "cosine"), "row 660 is all zeros", "no angle")


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_model_searches_by_its_similarity(folder, tmp_path, cache_dir, lengths, similarity):
    from hashbench.models.search import Rescoring, open_search

    options = {
        "dataset": "vectors",
        "data_dir": folder,
        "methods": "float32,itq,rabitq",
        "bits": [16],
        "save_models": True,
    }
    run(**options, similarity=similarity, out=tmp_path / "out", cache_dir=cache_dir, in_process=True)
    models = {model.method.name: model for model in map(load_model, (tmp_path / "out").rglob("*.safetensors"))}
    database, query = (folder / f"{name}.npy" for name in ("database", "query"))
    true = nearest(lengths[1], lengths[0], similarity, 10)
    found = open_search(models["float32"], database, query)
    assert (np.stack([rows for _, rows, _ in found.neighbours(10)]) == true).all()
    again = open_search(models["itq"], database, query, rescoring=Rescoring(database, 600))
    assert (np.stack([rows for _, rows, _ in again.neighbours(10)]) == true).all()
    first = next(distances for _, _, distances in again.neighbours(10))
    q, x = lengths[1][0].astype(float), lengths[0][true[0]].astype(float)
    right = {
        "euclidean": ((q - x) ** 2).sum(axis=1),
        "cosine": 1 - x @ q / np.linalg.norm(x, axis=1) / np.linalg.norm(q),
        "ip": -x @ q,
    }
    np.testing.assert_allclose(first, right[similarity], rtol=1e-6, atol=1e-7)
    if similarity == "cosine":  # lengths decide nothing
        np.save(tmp_path / "longer.npy", 8 * lengths[0])
        for model in models.values():
            codes = [encode_input(model, path).codes for path in (database, tmp_path / "longer.npy")]
            assert (codes[0] == codes[1]).all()


@pytest.mark.parametrize("similarity", ["cosine", "ip"])
@pytest.mark.parametrize("name", ["pq", "lsh"])
def test_an_exported_index_ranks_by_the_models_similarity(folder, tmp_path, cache_dir, lengths, similarity, name):
    pytest.importorskip("faiss")
    from hashbench.models.export import faiss_index
    from hashbench.models.search import open_search

    options = {"dataset": "vectors", "data_dir": folder, "methods": name, "bits": [64], "save_models": True}
    run(**options, similarity=similarity, out=tmp_path / "out", cache_dir=cache_dir, in_process=True)
    (model,) = map(load_model, (tmp_path / "out").rglob("*.safetensors"))
    index = faiss_index(model, folder / "database.npy")
    distances, _ = index.search(lengths[1], 5)
    found = open_search(model, folder / "database.npy", folder / "query.npy")
    own = np.stack([distances for _, _, distances in found.neighbours(5)])
    np.testing.assert_allclose(distances, -own if (similarity, name) == ("ip", "pq") else own, rtol=1e-3, atol=1e-3)


def given(lengths, neighbors, path, **others):
    np.savez(path, database=lengths[0], query=lengths[1], neighbors=neighbors, **others)
    return path


@pytest.mark.slow
def test_neighbours_in_files_are_tested_and_the_similarity_named(lengths, tmp_path, cli):
    database, query = lengths
    true = nearest(query, database, "euclidean")
    farthest = nearest(query, database, "euclidean", 600)[:, :-101:-1]
    order = np.random.default_rng(1).permutation(600)
    cases = {
        "they count from 1": (true + 1) % 600,
        "the nearest stand last": true[:, ::-1],
        "say --similarity cosine": nearest(query, database, "cosine"),
        "say --similarity ip": nearest(query, database, "ip"),
        "they look like the farthest": farthest,
        "another order of the database's rows": order[true],
    }
    for number, (words, neighbors) in enumerate(cases.items()):
        path = given(lengths, neighbors, tmp_path / f"{number}.npz")
        arguments = ["run", "--dataset", "vectors", "--data-dir", path, "--methods", "lsh", "--out", tmp_path / "out"]
        one_clear_line(cli(*arguments), f"{number}.npz: neighbors", words, "delete it")
    path = given(lengths, true + 1, tmp_path / "one.npz")
    if (true == 599).any():
        arguments[4] = path
        one_clear_line(cli(*arguments), "counts from 1")


def test_neighbours_in_files_that_are_nearly_true_are_used_and_reported(lengths, tmp_path, cache_dir, capsys):
    database, query = lengths
    neighbors = nearest(query, database, "euclidean", 130)
    neighbors[:, 96:100] = neighbors[:, 126:130]
    dataset = load_dataset("vectors", data_dir=given(lengths, neighbors, tmp_path / "a.npz"), cache_dir=cache_dir)
    assert "96.0% of its neighbours are the nearest" in capsys.readouterr().err
    assert dataset.provenance == "own vectors, .npz, 96.0% of given neighbours true"
    assert (dataset.neighbors == neighbors[:, :100]).all()


@pytest.mark.parametrize("n", [45, 10, 4])
def test_fewer_neighbours_than_a_hundred_are_scored_and_reported(lengths, tmp_path, cache_dir, capsys, n):
    database, query = lengths
    few = np.load(given((database[:n], query), np.arange(0), tmp_path / "x.npz"))
    np.savez(tmp_path / "few.npz", database=few["database"], query=query)
    many = given(lengths, nearest(query, database, "euclidean")[:, :n], tmp_path / "given.npz")
    metrics = {45: ["recall@10", "recall10@100", "recall10@1000", "recall@45", "mAP@all"]}
    metrics[10] = [*metrics[45][:3], "mAP@all"]
    metrics[4] = ["recall@4", "recall4@100", "recall4@1000", "mAP@all"]
    for path in (tmp_path / "few.npz", many):
        dataset = load_dataset("vectors", data_dir=path, cache_dir=cache_dir)
        assert f"{n} neighbours of each query are known" in capsys.readouterr().err
        assert dataset.neighbors.shape == (60, n)
        assert dataset.protocol.name == f"vectors/1[neighbors={n}]"
        assert list(dataset.protocol.metrics) == metrics[n]
        names = dataset.protocol.by_bytes().metrics
        assert all(int(name.partition("@")[0].removeprefix("recall") or name.partition("@")[2]) <= n for name in names)
    options = {"dataset": "vectors", "data_dir": many, "methods": "float32,lsh", "bits": [16], "in_process": True}
    frame = run(**options, out=tmp_path / "out", cache_dir=cache_dir)
    assert frame.set_index("method").loc["float32", f"recall@{min(n, 10)}"] == 1


def test_vectors_far_from_zero_keep_their_neighbours(tmp_path, cache_dir, capsys):
    near = np.random.default_rng(0).standard_normal((400, 8)) * 1e-3
    for name, rows in (("far", near + 1e5), ("near", near)):
        np.savez(tmp_path / f"{name}.npz", database=rows[:360], query=rows[360:])
    far = load_dataset("vectors", data_dir=tmp_path / "far.npz", cache_dir=cache_dir)
    assert "subtracted before they are rounded" in capsys.readouterr().err
    assert far.centred
    whole = near + 1e5
    distances = ((whole[360:, None] - whole[:360]) ** 2).sum(axis=2)
    assert (far.neighbors == np.argsort(distances, axis=1, kind="stable")[:, :100]).all()
    plain = load_dataset("vectors", data_dir=tmp_path / "near.npz", cache_dir=cache_dir)
    assert not plain.centred
    assert (plain.features == near.astype(np.float32)).all()
    options = {"dataset": "vectors", "data_dir": tmp_path / "far.npz", "methods": "lsh", "bits": [16]}
    run(**options, out=tmp_path / "out", cache_dir=cache_dir, save_models=True, in_process=True)
    (model,) = map(load_model, (tmp_path / "out").rglob("*.safetensors"))
    np.save(tmp_path / "query.npy", whole[360:])
    with pytest.raises(InputError, match="far from 0 whose mean had been subtracted"):
        encode_input(model, tmp_path / "query.npy")


def test_rows_that_rounding_makes_equal_are_counted(tmp_path, cache_dir, capsys):
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], (400, 1))
    rows = 1e5 * side + 1e-3 * rng.standard_normal((400, 8))  # no middle brings both sides near
    np.savez(tmp_path / "a.npz", database=rows[:360], query=rows[360:])
    load_dataset("vectors", data_dir=tmp_path / "a.npz", cache_dir=cache_dir)
    equal = 400 - len(np.unique(rows.astype(np.float32), axis=0))
    assert f"{equal} rows differ in float64 and are equal to others in float32" in capsys.readouterr().err
    for similarity in ("cosine", "ip"):
        assert not load_dataset(
            "vectors", data_dir=tmp_path / "a.npz", cache_dir=cache_dir, similarity=similarity
        ).centred
