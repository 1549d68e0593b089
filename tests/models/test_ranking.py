"""Searching with quantizers and real-valued queries, and ranking candidates again by their vectors."""

import csv

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import load_method, load_model, load_quantizer


@pytest.fixture(scope="module")
def used(tmp_path_factory, data):
    """Return a folder with a method and quantizers, vectors of the database and of 300 queries."""
    folder = tmp_path_factory.mktemp("used")
    np.save(folder / "database.npy", data[:900])
    np.save(folder / "query.npy", data[900:].astype(np.float64))
    load_method("itq")(n_bits=12, n_iter=3, random_state=0).fit(data).save(folder / "itq.safetensors")
    for name, params in {"rabitq": {"random_state": 0}, "pq": {"n_bits": 64}, "int8": {}}.items():
        load_quantizer(name)(**params).fit(data).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def searched(used, tmp_path, cli):
    """Search with a model of the folder and return rows and distances, (n_queries, k) each, and what was printed."""

    def search(name, *options, database="database.npy", k=7):
        asked = (used / f"{name}.safetensors", used / database, used / "query.npy", "-k", k, *options)
        done = cli("search", *asked, "--csv", tmp_path / "n.csv")
        assert done.returncode == 0, done.stderr
        with (tmp_path / "n.csv").open() as stream:
            lines = list(csv.DictReader(stream))
        assert [line["rank"] for line in lines] == 300 * [str(rank) for rank in range(1, k + 1)]
        rows = np.array([int(line["row"]) for line in lines]).reshape(300, k)
        return rows, np.array([float(line["distance"]) for line in lines]).reshape(300, k), done.stdout

    return search


def true_distances(used):
    database, queries = np.load(used / "database.npy").astype(np.float64), np.load(used / "query.npy")
    return np.square(queries[:, None] - database).sum(axis=2)


def first(distances, k):
    """Return rows and distances of the k smallest, ties in row order."""
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(distances, rows, axis=1)


@pytest.mark.parametrize("name", ["rabitq", "pq", "int8"])
def test_a_quantizer_searches_by_its_distance(used, searched, name):
    rows, distances, printed = searched(name)
    quantizer = load_model(used / f"{name}.safetensors").method
    codes = quantizer.encode(np.load(used / "database.npy"))
    own = quantizer.distances(np.load(used / "query.npy").astype(np.float32), codes)
    np.testing.assert_allclose(distances, np.sort(own, axis=1)[:, :7], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(distances, np.take_along_axis(own, rows, axis=1), rtol=1e-5, atol=1e-4)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert f"7 nearest of 900 by its own distance ({name}, {codes.shape[1]} bytes)" in printed


def test_codes_of_a_quantizer_are_searched_as_its_vectors_are(used, searched, tmp_path, cli):
    rows, distances, _ = searched("rabitq")
    encoded = cli("encode", used / "rabitq.safetensors", used / "database.npy", "-o", used / "codes.npy")
    assert encoded.returncode == 0, encoded.stderr
    again = searched("rabitq", database="codes.npy")
    assert (again[0] == rows).all()
    assert (again[1] == distances).all()


def test_real_valued_queries(used, searched):
    rows, distances, printed = searched("itq", "--distance", "asymmetric")
    method = load_model(used / "itq.safetensors").method
    values = method.values(np.load(used / "query.npy"))
    bits = method.values(np.load(used / "database.npy")) > 0
    expected = (np.abs(values)[:, None] * ((values > 0)[:, None] != bits)).sum(axis=2)
    expected_rows, expected_distances = first(expected.round(9), 7)
    np.testing.assert_allclose(distances, expected_distances, atol=1e-6)
    assert (rows == expected_rows).mean() > 0.99  # the last digits of a sum decide the others
    assert "by asymmetric distance (itq, 12 bits)" in printed
    whole = searched("itq", "--distance", "hamming")
    assert (whole[0] == searched("itq")[0]).all()


@pytest.mark.parametrize(("name", "options"), [("itq", ()), ("itq", ("--distance", "asymmetric")), ("rabitq", ())])
def test_candidates_are_ranked_again_by_their_vectors(used, searched, name, options):
    again = ("--rescore", used / "database.npy")
    rows, distances, printed = searched(name, *options, *again, "--rescore-factor", 3)
    candidates, _, _ = searched(name, *options, k=21)
    true = true_distances(used)
    among = np.full_like(true, np.inf)
    np.put_along_axis(among, candidates, np.take_along_axis(true, candidates, axis=1), axis=1)
    expected_rows, expected_distances = first(among, 7)
    assert (rows == expected_rows).all()
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-12)
    assert "by Euclidean distance among 3 times as many by" in printed
    best = first(true, 7)
    all_rows, all_distances, _ = searched(name, *options, *again, "--rescore-factor", 1000)
    assert (all_rows == best[0]).all()
    np.testing.assert_allclose(all_distances, best[1], rtol=1e-12)


def test_rescoring_finds_more(used, searched):
    true = first(true_distances(used), 7)[0]

    def recall(*options):
        rows = searched("itq", *options)[0]
        return np.mean([len(set(own) & set(near)) / 7 for own, near in zip(rows, true, strict=True)])

    plain, four = recall(), recall("--rescore", used / "database.npy")
    assert plain < four == recall("--rescore", used / "database.npy", "--rescore-factor", 4)


def test_what_cannot_be_ranked_again(used, data, tmp_path, cli):
    def search(model="itq", query=used / "query.npy", rescore=used / "database.npy"):
        return cli("search", used / f"{model}.safetensors", used / "database.npy", query, "--rescore", rescore)

    for name, array in [
        ("few", data[:899]),
        ("narrow", data[:900, :5]),
        ("codes", np.zeros((900, 2), np.uint8)),
        ("images", np.zeros((900, 4, 6, 1), np.uint8)),
        ("nan", np.full((900, 24), np.nan)),
        ("nan_query", np.where(np.arange(9)[:, None] == 4, np.inf, data[:9])),
    ]:
        np.save(tmp_path / f"{name}.npy", array)
    for rescore, words in [
        ("few", ["few.npy holds 899 vectors, the database 900 items"]),
        ("narrow", ["narrow.npy holds vectors of 5 values", "trained on 24"]),
        ("codes", ["codes.npy", "expected float vectors (n, 24)"]),
        ("images", ["itq.safetensors", "give it vectors"]),
        ("nan", ["nan.npy: row", "NaN"]),
        ("missing", ["missing.npy: no such file"]),
    ]:
        one_clear_line(search(rescore=tmp_path / f"{rescore}.npy"), *words)
    for model in ("itq", "rabitq"):
        one_clear_line(search(model, tmp_path / "codes.npy"), "codes.npy holds codes", "vectors with codes")
        one_clear_line(search(model, tmp_path / "nan_query.npy"), "nan_query.npy: row 4 holds NaN")


def test_images_are_not_ranked_again(model, digits, tmp_path, cli):
    np.save(tmp_path / "images.npy", digits.images[:20])
    np.save(tmp_path / "vectors.npy", digits.images[:20].reshape(20, 64) / 255)
    for query, rescore in [("images", "vectors"), ("vectors", "images")]:
        done = cli(
            "search",
            model,
            tmp_path / "images.npy",
            tmp_path / f"{query}.npy",
            "--rescore",
            tmp_path / f"{rescore}.npy",
        )
        one_clear_line(done, "images.npy holds images, but --rescore compares vectors")


def test_images_are_queries_of_real_values(model, digits, tmp_path, cli):
    np.save(tmp_path / "images.npy", digits.images[:20])
    np.save(tmp_path / "vectors.npy", digits.images[:20].reshape(20, 64) / np.float32(255))
    asked = ("search", model, tmp_path / "images.npy")
    printed = [
        cli(*asked, tmp_path / query, "--distance", "asymmetric").stdout for query in ("images.npy", "vectors.npy")
    ]
    assert printed[0] == printed[1]
    assert "by asymmetric distance" in printed[0]


def test_bad_options(used, tmp_path, cli):
    files = (used / "database.npy", used / "query.npy")
    np.save(tmp_path / "codes.npy", np.zeros((3, 11), np.uint8))
    done = cli("search", used / "rabitq.safetensors", *files, "--distance", "hamming")
    one_clear_line(done, "defines its own distance; leave it out")
    one_clear_line(cli("search", used / "itq.safetensors", *files, "--distance", "own"), "hamming, asymmetric")
    one_clear_line(cli("search", used / "itq.safetensors", *files, "--rescore-factor", 2), "needs --rescore")
    one_clear_line(
        cli("search", used / "itq.safetensors", *files, "--rescore", files[0], "--rescore-factor", 0), "rescore-factor"
    )
    done = cli("search", used / "rabitq.safetensors", files[0], tmp_path / "codes.npy")
    one_clear_line(done, "codes.npy holds codes", "rabitq compares vectors with codes")
    np.save(tmp_path / "codes.npy", np.zeros((3, 5), np.uint8))
    done = cli("search", used / "rabitq.safetensors", tmp_path / "codes.npy", files[1])
    one_clear_line(done, "codes of 11 bytes are (n, 11) uint8")
