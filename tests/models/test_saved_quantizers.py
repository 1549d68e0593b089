"""Quantizers on disk: kept by a run, loaded again, and refused where a file is none of theirs."""

import hashlib
import sys

import numpy as np
import pytest
from conftest import one_clear_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import damaged, gives_codes_or_one_line, sealed, taken_apart
from mutations import to_json
from sklearn.exceptions import NotFittedError

from hashbench import InputError, load_dataset, load_method, load_model, load_quantizer
from hashbench.checks.estimator_trial import fit
from hashbench.records.store import Store

PARAMS = {
    "float32": {},
    "float32_cosine": {},
    "float16": {},
    "int8": {},
    "bbq": {},
    "rabitq": {"random_state": 0},
    "faiss_rabitq": {"bits": 2, "query_bits": 4, "random_state": 0},
    "pq": {"n_bits": 64, "random_state": 0},
    "opq": {"n_bits": 64, "n_iter": 2, "random_state": 0},
    "mecoq": {"n_bits": 16, "epochs": 1, "n_views": 2, "random_state": 0},
}


@pytest.fixture(scope="module")
def folder_of_models(tmp_path_factory, data):
    """Return a folder with a file of each quantizer, fitted to the data."""
    folder = tmp_path_factory.mktemp("quantizers")
    for name, params in PARAMS.items():
        fit(load_quantizer(name)(**params), data).save(folder / f"{name}.safetensors")
    return folder


def test_every_quantizer_is_tried():
    from hashbench.plugins.registry import Registry

    assert sorted(PARAMS) == Registry().names("quantizers")


@pytest.mark.parametrize("name", PARAMS)
def test_a_loaded_quantizer_gives_the_same_codes_and_distances(folder_of_models, data, name):
    fitted = fit(load_quantizer(name)(**PARAMS[name]), data)
    model = load_model(folder_of_models / f"{name}.safetensors")
    loaded, codes = model.method, fitted.encode(data)
    assert loaded.get_params() == fitted.get_params()
    assert (loaded.encode(data) == codes).all()
    assert (loaded.distances(data[:5], codes) == fitted.distances(data[:5], codes)).all()
    assert (loaded.searcher(codes)(data[:5], 9) == fitted.searcher(codes)(data[:5], 9)).all()
    assert (model.length, model.code_width) == (f"{codes.shape[1]} bytes", codes.shape[1])
    assert type(fitted).load(folder_of_models / f"{name}.safetensors").n_features_in_ == 24


@pytest.fixture(scope="module")
def kept_quantizers(tmp_path_factory, data, cli):
    """Return a run's directory and its file of vectors: two quantizers and a method, with their models."""
    folder = tmp_path_factory.mktemp("kept-quantizers")
    np.save(folder / "vectors.npy", data)
    command = ("run", "--dataset", "vectors", "--data-dir", folder / "vectors.npy", "--bits", 16)
    command = (*command, "--methods", "rabitq,pq,itq[n_iter=2]", "--out", folder / "out", "--save-models")
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    return folder, done, command


def test_a_run_keeps_quantizers(kept_quantizers, cli):
    folder, done, command = kept_quantizers
    store, n = Store(folder / "out"), 0
    split = load_dataset("vectors", data_dir=folder / "vectors.npy").split
    vectors = np.load(folder / "vectors.npy")
    for record in store:
        path = store.model_path(record)
        assert f"{record.title}: {path}" in done.stdout
        model = load_model(path)
        assert model.provenance["record"] == record.id
        assert model.provenance["plugin"] == record.config["method"]
        codes = model.encode(vectors[split.database])
        assert hashlib.sha256(codes.tobytes()).hexdigest() == record.codes_sha256["database_codes"]
        n += 1
    assert n == 3
    assert cli(*command).stderr.count("already in") == 3


def test_encode_takes_a_quantizer(folder_of_models, data, tmp_path, cli):
    np.save(tmp_path / "v.npy", data)
    model = folder_of_models / "rabitq.safetensors"
    done = cli("encode", model, tmp_path / "v.npy", "-o", tmp_path / "c.npy")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,200 codes of 11 bytes, packed, shape (1200, 11) uint8" in done.stdout
    assert (np.load(tmp_path / "c.npy") == load_model(model).encode(data)).all()
    np.save(tmp_path / "narrow.npy", data[:, :5])
    done = cli("encode", model, tmp_path / "narrow.npy", "-o", tmp_path / "d.npy")
    one_clear_line(done, "narrow.npy", "vectors of 5 values", "trained on 24")
    broken = data[:9].copy()
    broken[7, 3] = np.nan
    np.save(tmp_path / "nan.npy", broken)
    one_clear_line(cli("encode", model, tmp_path / "nan.npy", "-o", tmp_path / "d.npy"), "nan.npy", "row 7 holds NaN")
    np.save(tmp_path / "images.npy", np.zeros((3, 8, 8, 3), np.uint8))
    done = cli("encode", model, tmp_path / "images.npy", "-o", tmp_path / "d.npy")
    one_clear_line(done, "rabitq.safetensors", "not trained on images")


def test_a_rabitq_code_is_not_read_with_another_rotation(data, tmp_path, cli):
    np.save(tmp_path / "v.npy", data)
    for seed in (0, 1):
        load_quantizer("rabitq")(random_state=seed).fit(data).save(tmp_path / f"{seed}.safetensors")
    assert cli("encode", tmp_path / "0.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy").returncode == 0
    assert cli("search", tmp_path / "0.safetensors", tmp_path / "c.npy", tmp_path / "v.npy").returncode == 0
    done = cli("search", tmp_path / "1.safetensors", tmp_path / "c.npy", tmp_path / "v.npy")
    one_clear_line(done, "c.npy", "codes of another model (rabitq)", "1.safetensors")
    done = cli("export", tmp_path / "1.safetensors", "-o", tmp_path / "i.faiss", "--codes", tmp_path / "c.npy")
    one_clear_line(done, "--codes", "give --vectors")
    assert not (tmp_path / "i.faiss").exists()


def put(name, value):
    def alter(header, arrays):
        header["fitted" if name.endswith("_") else "params"][name] = value

    return alter


def kind(value):
    def alter(header, arrays):
        header["kind"] = value

    return alter


def no_kind(header, arrays):
    del header["kind"]


def array(name, change):
    def alter(header, arrays):
        arrays[name] = np.ascontiguousarray(change(arrays[name]))

    return alter


def dropped(name):
    def alter(header, arrays):
        del arrays[name]

    return alter


def nan(values):
    values = values.copy()
    values.flat[5] = np.nan
    return values


DAMAGE = [
    ("rabitq", kind("method"), ["'quantizer', or none for a hash method, got 'method' - at `kind`"]),
    ("rabitq", no_kind, ["missing required field `n_bits` - at `params`"]),
    ("pq", no_kind, ["needs the method 'pq'"]),
    ("rabitq", dropped("rotation_"), ["does not fit the 'rabitq'", "rotation_"]),
    ("rabitq", array("rotation_", lambda values: values[:, :7]), ["does not fit the 'rabitq'", "expected (1, 11)"]),
    ("rabitq", array("center_", lambda values: values[:7]), ["does not fit the 'rabitq'"]),
    ("rabitq", array("rotation_", nan), ["'rotation_' holds NaN"]),
    ("rabitq", put("n_features_in_", 23), ["does not fit the 'rabitq'"]),
    ("rabitq", put("random_state", 7), []),  # the seed has done its work
    ("int8", array("steps_", lambda values: values[:9]), ["does not fit the 'int8'"]),
    ("pq", dropped("centroids_"), ["does not fit the 'pq'", "centroids_", "float32"]),
    ("pq", array("centroids_", lambda values: values[:99]), ["does not fit the 'pq'", "256"]),
    ("pq", array("centroids_", lambda values: values.astype(np.float64)), ["does not fit the 'pq'", "float64"]),
    ("pq", array("centroids_", lambda values: values + 0j), ["does not fit the 'pq'", "complex64"]),
    ("pq", put("n_features_in_", 2**24), ["does not fit the 'pq'"]),
    ("pq", put("n_features_in_", 2**25), ["Expected `int` <= 16777216 - at `fitted.n_features_in_`"]),
    ("pq", put("n_features_in_", None), ["before it was fitted"]),
    ("pq", put("n_bits", 40), ["cannot be used", "24 features cannot be divided by 5"]),
    ("pq", put("n_bits", 0), ["does not fit the 'pq'"]),
    ("pq", put("n_bits", -64), ["does not fit the 'pq'"]),
    ("pq", put("n_bits", "64"), ["does not fit the 'pq'"]),
    ("opq", array("rotation_", lambda values: values[:9]), ["does not fit the 'opq'"]),
    ("opq", dropped("rotation_"), ["does not fit the 'opq'", "rotation_"]),
    ("faiss_rabitq", dropped("center_"), ["does not fit the 'faiss_rabitq'", "center_"]),
    ("faiss_rabitq", put("bits", 99), ["cannot be used", "bits=99", "1 to 9"]),
    ("faiss_rabitq", put("extra_", [1]), ["does not fit the 'faiss_rabitq'", "extra_"]),
]


@pytest.mark.parametrize(("name", "alter", "words"), DAMAGE, ids=lambda value: value if isinstance(value, str) else "")
def test_files_that_no_quantizer_writes(folder_of_models, tmp_path, cli, data, name, alter, words):
    header, arrays = taken_apart(folder_of_models / f"{name}.safetensors")
    alter(header, arrays)
    (tmp_path / "m.safetensors").write_bytes(sealed(to_json(header), arrays))
    np.save(tmp_path / "v.npy", data[:3])
    done = cli("encode", tmp_path / "m.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy")
    if words:
        one_clear_line(done, "m.safetensors", *words)
        assert not (tmp_path / "c.npy").exists()
    else:
        assert done.returncode == 0, done.stderr


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_damage_gives_anything_but_codes_or_one_line(folder_of_models, cli, data):
    model = folder_of_models / f"{data.draw(st.sampled_from(['opq', 'faiss_rabitq', 'rabitq']))}.safetensors"
    gives_codes_or_one_line(cli, data.draw(damaged(model)), np.ones((2, 24), np.float32))


@pytest.mark.parametrize("name", ["n_features_in_", "centroids_"])
def test_learned_values_that_lack_one_are_refused(folder_of_models, name):
    learned = load_model(folder_of_models / "pq.safetensors").method.learned()
    with pytest.raises(ValueError, match=name):
        load_quantizer("pq")(**PARAMS["pq"]).set_learned({key: value for key, value in learned.items() if key != name})


def test_methods_and_quantizers_are_distinguished(folder_of_models, model, data, tmp_path):
    with pytest.raises(InputError, match=r"one of the quantizers \('pq'\), not one of the methods"):
        load_method("lsh").load(folder_of_models / "pq.safetensors")
    with pytest.raises(InputError, match=r"one of the methods \('itq'\), not one of the quantizers"):
        load_quantizer("pq").load(model)
    with pytest.raises(InputError, match="a saved 'pq', not a 'opq'"):
        load_quantizer("opq").load(folder_of_models / "pq.safetensors")
    with pytest.raises(NotFittedError, match="call fit before save"):
        load_quantizer("pq")().save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="at `dataset`"):
        load_quantizer("int8")().fit(data).save(tmp_path / "m.safetensors", dataset="../../x")
    assert not list(tmp_path.iterdir())


def test_a_missing_faiss_is_named(folder_of_models, data, tmp_path, cli, monkeypatch):
    np.save(tmp_path / "v.npy", data[:3])
    monkeypatch.setitem(sys.modules, "faiss", None)
    done = cli("encode", folder_of_models / "pq.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy")
    one_clear_line(done, "pq.safetensors", "pq needs faiss: pip install 'hashbench[faiss]'")


OWN_INDEX = """
'An index of faiss that does not say what it learns.'
from hashbench.contract.faiss_quantizer import FaissQuantizer, faiss_module
class Scalar(FaissQuantizer):
    'Eight bits a dimension.'
    paper = 'none'
    def n_bytes(self, n_features):
        return n_features
    def new_index(self, n_features):
        faiss = faiss_module(self.name)
        return faiss.IndexScalarQuantizer(n_features, faiss.ScalarQuantizer.QT_8bit)
"""


def test_an_index_that_says_not_what_it_learns_keeps_its_record(data, tmp_path, cli):
    np.save(tmp_path / "v.npy", data)
    (tmp_path / "scalar.py").write_text(OWN_INDEX)
    command = ("run", "--dataset", "vectors", "--data-dir", tmp_path / "v.npy", "--methods", "scalar")
    done = cli(*command, "--plugin", tmp_path / "scalar.py", "--out", tmp_path / "out", "--save-models")
    assert done.returncode == 1
    assert "its model cannot be saved: TypeError: scalar does not say in parts" in done.stderr
    (record,) = Store(tmp_path / "out")
    assert record.status == "ok"
    assert record.metrics["recall@10"] > 0.9
