"""Indexes that faiss reads and that find the same neighbours."""

import sys

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import load_method, load_model, load_quantizer

faiss = pytest.importorskip("faiss")

LINEAR = {
    "itq": {"n_bits": 20, "n_iter": 3, "random_state": 0},
    "lsh": {"n_bits": 40, "random_state": 0},
    "pcah": {"n_bits": 16},
    "sign": {"n_bits": 24},
    "rr": {"n_bits": 13, "random_state": 0},
}
OTHERS = {"sh": {"n_bits": 16}, "sph": {"n_bits": 16, "random_state": 0}, "agh": {"n_bits": 16, "random_state": 0}}
QUANTIZERS = {
    "pq": {"n_bits": 64, "random_state": 0},
    "opq": {"n_bits": 64, "n_iter": 2, "random_state": 0},
    "faiss_rabitq": {"bits": 2, "random_state": 0},
}
DATABASE, QUERIES, K = slice(0, 1000), slice(1000, 1200), 10


@pytest.fixture(scope="module")
def models(tmp_path_factory, data):
    """Return a folder of models, with the vectors and the codes of the database and the codes of the queries."""
    folder = tmp_path_factory.mktemp("exported")
    np.save(folder / "vectors.npy", data[DATABASE])
    plugins = {name: load_method(name)(**params) for name, params in {**LINEAR, **OTHERS}.items()}
    plugins |= {name: load_quantizer(name)(**params) for name, params in QUANTIZERS.items()}
    plugins |= {"rabitq": load_quantizer("rabitq")(random_state=0), "int8": load_quantizer("int8")()}
    for name, plugin in plugins.items():
        plugin.fit(data).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def exported(models, tmp_path, cli):
    """Export a model of the folder and return what faiss reads."""

    def export(name, *options, read=faiss.read_index):
        done = cli("export", models / f"{name}.safetensors", "-o", tmp_path / "i.faiss", *options)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.glob("*.faiss")) == ["i.faiss"]
        return read(str(tmp_path / "i.faiss")), done.stdout

    return export


def same_neighbours(answer, distances):
    """Assert that faiss found the nearest: equal distances, and the same rows but for those at the last distance."""
    got, rows = answer
    expected = np.sort(distances, axis=1)[:, :K]
    np.testing.assert_array_equal(got, expected)
    for own, of_all, last in zip(rows, distances, expected[:, -1], strict=True):
        assert set(np.flatnonzero(of_all < last)) <= set(own) <= set(np.flatnonzero(of_all <= last))


def hamming(method, data):
    queries, database = (np.unpackbits(method.encode(data[part]), axis=1) for part in (QUERIES, DATABASE))
    return (queries[:, None] != database).sum(axis=2)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_methods_give_the_same_hamming_neighbours(models, exported, data, name):
    index, printed = exported(name, "--vectors", models / "vectors.npy")
    method = load_model(models / f"{name}.safetensors").method
    assert (index.d, index.ntotal, index.is_trained) == (24, 1000, True)
    assert "takes vectors of 24 values, 1,000 in it" in printed
    same_neighbours(index.search(data[QUERIES], K), hamming(method, data))
    empty, _ = exported(name)
    assert empty.ntotal == 0
    empty.add(data[DATABASE])
    same_neighbours(empty.search(data[QUERIES], K), hamming(method, data))


def test_codes_are_a_database_too(models, exported, data, cli):
    assert cli("encode", models / "itq.safetensors", models / "vectors.npy", "-o", models / "c.npy").returncode == 0
    one, other = (
        exported("itq", *given)[0] for given in (("--codes", models / "c.npy"), ("--vectors", models / "vectors.npy"))
    )
    for got, expected in zip(one.search(data[QUERIES], K), other.search(data[QUERIES], K), strict=True):
        assert (got == expected).all()


def test_values_of_zero_are_bits_of_zero(tmp_path, cli):
    X = np.random.default_rng(0).standard_normal((500, 12)).clip(0).astype(np.float32)  # half of them are 0
    method = load_method("sign")(n_bits=12, center=False).fit(X)
    method.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "v.npy", X)
    done = cli("export", tmp_path / "m.safetensors", "-o", tmp_path / "i.faiss", "--vectors", tmp_path / "v.npy")
    assert done.returncode == 0, done.stderr
    bits = np.unpackbits(method.encode(X), axis=1, count=12)
    assert 0.4 < bits.mean() < 0.6
    expected = np.sort((bits[:50, None] != bits).sum(axis=2), axis=1)[:, :K]
    assert (faiss.read_index(str(tmp_path / "i.faiss")).search(X[:50], K)[0] == expected).all()


def test_a_deep_linear_method_is_exported_and_a_deeper_one_is_not(tmp_path, data, cli):
    plugin = tmp_path / "net.py"
    plugin.write_text(
        "from hashbench import HashMethod\n"
        "from hashbench.learning.training.encoder import run_encoder\n"
        "class Net(HashMethod):\n"
        "    def __init__(self, n_bits=8):\n"
        "        self.n_bits = n_bits\n"
        "    def fit(self, X, y=None):\n"
        "        return self\n"
        "    def project(self, X):\n"
        "        return run_encoder(X, vars(self))\n"
    )
    rng = np.random.default_rng(0)
    net = load_method("net", plugins=[plugin])().fit(data)
    weights, out = rng.standard_normal((24, 8)).astype(np.float32), rng.standard_normal((8, 8)).astype(np.float32)
    for name, learned in {
        "one": {"weights1_": weights, "activations_": ["tanh"]},
        "two": {"weights1_": weights, "weights2_": out, "bias2_": out[0], "activations_": ["relu", "identity"]},
    }.items():
        vars(net).update(learned, bias1_=-np.median(data @ weights, axis=0))
        net.save(tmp_path / f"{name}.safetensors")
    np.save(tmp_path / "v.npy", data[DATABASE])
    command = ("--plugin", plugin, "--vectors", tmp_path / "v.npy", "-o", tmp_path / "i.faiss")
    done = cli("export", tmp_path / "two.safetensors", *command)
    one_clear_line(done, "two.safetensors", "not the signs of a linear map", "--format faiss-binary")
    assert cli("export", tmp_path / "one.safetensors", *command).returncode == 0
    one = load_model(tmp_path / "one.safetensors", [plugin]).method
    same_neighbours(faiss.read_index(str(tmp_path / "i.faiss")).search(data[QUERIES], K), hamming(one, data))


@pytest.mark.parametrize("name", ["sh", "rr"])
def test_codes_of_any_method_become_a_binary_index(models, exported, data, name):
    given = ("--format", "faiss-binary", "--vectors", models / "vectors.npy")
    index, printed = exported(name, *given, read=faiss.read_index_binary)
    method = load_model(models / f"{name}.safetensors").method
    assert "IndexBinaryFlat of faiss, takes codes of 2 bytes, 1,000 in it" in printed
    same_neighbours(index.search(method.encode(data[QUERIES]), K), hamming(method, data))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_quantizers_of_faiss_become_their_index(models, exported, data, name, cli):
    quantizer = load_model(models / f"{name}.safetensors").method
    codes = models / f"{name}.npy"
    assert cli("encode", models / f"{name}.safetensors", models / "vectors.npy", "-o", codes).returncode == 0
    distances = quantizer.distances(data[QUERIES], np.load(codes))
    rows = quantizer.searcher(np.load(codes))(data[QUERIES], K)
    for given in (("--vectors", models / "vectors.npy"), ("--codes", codes)):
        index, _ = exported(name, *given)
        got, nearest = index.search(data[QUERIES], K)
        assert (nearest == rows).all()
        assert (got == np.take_along_axis(distances, rows, axis=1)).all()
    empty, _ = exported(name)
    empty.add(data[DATABASE])
    assert (empty.search(data[QUERIES], K)[1] == rows).all()


def test_rabitq_becomes_that_of_faiss_under_its_rotation(models, exported, data):
    quantizer = load_model(models / "rabitq.safetensors").method
    index, printed = exported("rabitq", "--vectors", models / "vectors.npy")
    assert "takes vectors of 24 values, 1,000 in it" in printed
    codes = quantizer.encode(data[DATABASE])
    rows = quantizer.searcher(codes)(data[QUERIES], K)
    own = quantizer.distances(data[QUERIES], codes)
    own += np.square(data[QUERIES] - quantizer.center_).sum(axis=1, keepdims=True)
    got, nearest = index.search(data[QUERIES], K)
    np.testing.assert_allclose(got, np.sort(own, axis=1)[:, :K].clip(0), rtol=1e-5, atol=1e-3)
    tied = np.sort(own, axis=1)[:, K - 1] <= 0  # faiss takes estimates below 0 for 0, all alike
    assert 0 < tied.sum() < 20
    assert (np.sort(nearest[~tied], axis=1) == np.sort(rows[~tied], axis=1)).all()
    assert (np.take_along_axis(own, nearest, axis=1)[tied] <= 0).all()


def test_what_cannot_be_exported(models, data, tmp_path, cli, monkeypatch):
    out, codes = tmp_path / "i.faiss", tmp_path / "c.npy"
    np.save(codes, np.zeros((3, 3), np.uint8))

    def export(name, *options, out=out):
        return cli("export", models / f"{name}.safetensors", "-o", out, *options)

    for name in OTHERS:
        one_clear_line(export(name), f"{name}.safetensors", "not the signs of a linear map", "--format faiss-binary")
    one_clear_line(export("int8"), "int8.safetensors", "int8 has no index of faiss")
    one_clear_line(export("rabitq", "--codes", codes), "--codes", "give --vectors")
    one_clear_line(export("itq", "--format", "faiss-binary"), "nothing is to be in the index")
    one_clear_line(export("pq", "--format", "faiss-binary", "--codes", codes), "no Hamming distance")
    one_clear_line(export("itq", "--format", "hnsw"), "--format hnsw", "faiss, faiss-binary")
    one_clear_line(export("itq", "--codes", codes, "--vectors", codes), "give one of them")
    one_clear_line(export("lsh", "--codes", codes), "c.npy", "codes of 40 bits are (n, 5) uint8")
    one_clear_line(export("itq", out=tmp_path / "i.index"), "--out", "ends in .faiss")
    np.save(codes, np.full((3, 24), np.nan))
    one_clear_line(export("rabitq", "--vectors", codes), "c.npy: row 0 holds NaN")
    one_clear_line(export("itq", "--vectors", codes), "c.npy: row 0 holds NaN")
    monkeypatch.setitem(sys.modules, "faiss", None)
    for name in ("itq", "rabitq"):
        one_clear_line(export(name), "needs faiss: pip install 'hashbench[faiss]'")
    assert [path.name for path in tmp_path.iterdir()] == ["c.npy"]


def test_a_full_disk_leaves_the_old_index(models, exported, tmp_path, cli, monkeypatch):
    exported("itq")
    before = (tmp_path / "i.faiss").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = cli("export", models / "lsh.safetensors", "-o", tmp_path / "i.faiss")
    one_clear_line(done, "i.faiss cannot be written", "No space left")
    assert (tmp_path / "i.faiss").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_help_lists_export(cli):
    assert "export" in cli("--help").stdout
