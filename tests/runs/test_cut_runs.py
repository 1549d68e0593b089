"""``METHOD[dims=N]``: any method on vectors that are cut to their first dimensions."""

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench import load_dataset
from hashbench.records.store import Store
from hashbench.reports.by_bytes import recall, rows_of_bytes
from hashbench.reports.one_parameter_grids import one_parameter_grids

METHODS = "float32,float32[dims=16|6],lsh,lsh[dims=16],int8[dims=6]"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return vectors of length 1 whose dimensions fall in variance."""
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    X = np.random.default_rng(0).standard_normal((500, 24)) * np.linspace(2, 0.3, 24)
    np.save(path, (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32))
    return path


def command(file, methods, out, *more):
    return ("run", "--dataset", "vectors", "--data-dir", file, "--methods", methods, "--bits", 8, "--out", out, *more)


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("cut")
    done = cli(*command(file, METHODS, out))
    assert done.returncode == 0, done.stderr
    return out, done


def test_cut_and_whole_vectors_stand_in_one_table(finished):
    out, done = finished
    rows = {(row.label, row.n_bytes): recall(row, 10, 1) for row in rows_of_bytes(list(Store(out)))}
    whole = {("float32", 96), ("lsh", 1)}
    assert set(rows) == whole | {("float32[dims=16]", 64), ("float32[dims=6]", 24), ("lsh[dims=16]", 1)} | {
        ("int8[dims=6]", 6)
    }
    assert rows["float32", 96] == 1 > rows["float32[dims=16]", 64] > rows["float32[dims=6]", 24] > 0.1
    assert "float32[dims=16]" in done.stdout


def test_recall_is_of_the_whole_vectors_neighbours(finished, file):
    """The same by hand: neighbours among cut vectors of length 1, looked up among those of the whole vectors."""
    data = load_dataset("vectors", data_dir=file)
    X, split = np.load(file), data.split
    kept = X[:, :6] / np.linalg.norm(X[:, :6], axis=1, keepdims=True)
    distances = ((kept[split.query][:, None] - kept[split.database]) ** 2).sum(axis=2)
    got = np.argsort(distances, axis=1)[:, :10]
    expected = np.mean([len(set(a) & set(b[:10])) / 10 for a, b in zip(got, data.neighbors, strict=True)])
    (record,) = (one for one in Store(finished[0]) if one.label == "float32[dims=6]")
    assert record.metrics["recall@10"] == pytest.approx(expected, abs=1e-9)


def test_a_cut_is_known_from_the_records_parameters(finished, file, cli, tmp_path):
    records = {record.label: record for record in Store(finished[0])}
    one, other = records["lsh"].config, records["lsh[dims=16]"].config
    assert one | {"params": one["params"] | {"dims": 16}} == other
    assert "dims" not in one["params"]
    alone = cli(*command(file, "float32,lsh", tmp_path))
    assert alone.returncode == 0, alone.stderr
    assert {record.id for record in Store(tmp_path)} == {records["float32"].id, records["lsh"].id}


def test_a_grid_of_cuts_is_drawn_with_whole_vectors(finished):
    ((method, parameter, rest, rows),) = one_parameter_grids(Store(finished[0]), lambda record: record.config)
    assert (method, parameter, rest) == ("float32", "dims", "")
    assert sorted(record.config["params"]["dims"] for record in rows) == [6, 16]


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ("lsh[dims=0]", "no whole number from 1 on"),
        ("lsh[dims=-3]", "no whole number from 1 on"),
        ("int8[dims=1.5]", "no whole number from 1 on"),
        ("lsh[dims=all]", "no whole number from 1 on"),
        ("lsh[dims=4,dims=5]", "dims is given twice"),
        ("lsh[dim=4]", "did you mean 'dims'?"),
        ("float32,lsh[dims=25]", "vectors of 24 dimensions"),
        ("int8[dims=25]", "vectors of 24 dimensions"),
    ],
)
def test_unusable_dims_are_refused_before_anything_is_computed(methods, words, file, cli, tmp_path):
    one_clear_line(cli(*command(file, methods, tmp_path / "out")), words)
    assert not (tmp_path / "out").exists()


def test_a_cut_is_not_kept_in_a_model(file, cli, tmp_path):
    done = cli(*command(file, "lsh,lsh[dims=6]", tmp_path, "--save-models"))
    one_clear_line(done, "--save-models", "lsh[dims=6]")


def test_images_features_can_be_cut_too(cli, tmp_path):
    done = cli("run", "--methods", "lsh[dims=9],lsh[dims=65]", "--bits", 8, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    records = {record.label: record for record in Store(tmp_path)}
    assert records["lsh[dims=9]"].status == "ok"
    assert records["lsh[dims=65]"].error == "dims=65: the vectors have 64 dimensions; give at most as many"


def test_methods_that_train_on_views_refuse_a_cut(cli, tmp_path):
    done = cli("run", "--methods", "cibhash[dims=9]", "--bits", 8, "--out", tmp_path / "out")
    one_clear_line(done, "augmented views", "leave dims out")


OWN = """
'A method with a parameter dims of its own.'
import numpy as np
from hashbench import HashMethod
class Own(HashMethod):
    'Takes every dims-th number.'
    def __init__(self, n_bits=8, *, dims: int = 1):
        self.n_bits, self.dims = n_bits, dims
    def fit(self, X):
        return self
    def project(self, X):
        return X[:, :: self.dims][:, : self.n_bits]
"""


def test_a_parameter_of_that_name_is_the_methods(file, cli, tmp_path):
    plugin = tmp_path / "own.py"
    plugin.write_text(OWN)
    done = cli(*command(file, "own[dims=2]", tmp_path / "out", "--plugin", plugin))
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "out")
    assert (record.config["params"], record.status) == ({"dims": 2}, "ok")
