"""Trained methods that a run keeps: what is in them, when they are made, and loading them again."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import one_clear_line
from model_files import sealed, taken_apart

from hashbench import load_method, load_model, load_quantizer, run
from hashbench.models.encode import encode_input
from hashbench.records.store import Store


def recorded(out, dataset):
    """Return per record the model's path and the codes of all items of the data set."""
    for record in Store(out):
        arrays = Store(out).arrays(record.id)
        codes = np.zeros((len(dataset.labels), arrays["query_codes"].shape[1]), np.uint8)
        codes[dataset.split.query] = arrays["query_codes"]
        codes[dataset.split.database] = arrays["database_codes"]
        yield record, Store(out).model_path(record), codes


def test_a_model_knows_where_it_comes_from_and_gives_the_records_codes(kept, digits, tmp_path):
    out, done = kept
    np.save(tmp_path / "images.npy", digits.images)
    n = 0
    for record, path, codes in recorded(out, digits):
        model = load_model(path)
        assert model.provenance == {
            "features": record.config["features"],
            "image_shape": [8, 8, 1],
            "dataset": "digits",
            "protocol": "digits/1",
            "plugin": record.config["method"],
            "source": record.config["source"],
            "label": record.label,
            "record": record.id,
        }
        assert (encode_input(model, tmp_path / "images.npy").codes == codes).all()
        assert f"{record.label} 12 bits seed 0: {path}" in done.stdout
        n += 1
    assert n == 2


def test_a_run_with_models_has_the_records_of_one_without(kept, tmp_path, cli):
    out, _ = kept
    cli("run", "--methods", "itq[n_iter=5],lsh", "--bits", 12, "--out", tmp_path)
    assert {record.id: record.codes_sha256 for record in Store(tmp_path)} == {
        record.id: record.codes_sha256 for record in Store(out)
    }
    assert not (tmp_path / "models").exists()


def test_a_finished_cell_without_its_model_is_run_again(tmp_path, cli):
    arguments = ("run", "--methods", "lsh", "--bits", "8,9", "--out", tmp_path)
    assert "models" not in cli(*arguments).stdout
    done = cli(*arguments, "--save-models")
    assert done.stderr.count("without its model, run again") == 2
    models = sorted((tmp_path / "models").iterdir())
    assert [path.suffix for path in models] == [".safetensors"] * 2
    models[0].unlink()
    done = cli(*arguments, "--save-models")
    assert done.stderr.count("without its model, run again") == 1
    assert done.stderr.count("already in") == 1
    assert cli(*arguments, "--save-models").stderr.count("already in") == 2


def test_a_skipped_cell_has_no_model_and_is_not_run_again(tmp_path, cli):
    arguments = ("run", "--methods", "itq,lsh", "--bits", 65, "--out", tmp_path, "--save-models")
    assert cli(*arguments).returncode == 0
    assert len(list((tmp_path / "models").iterdir())) == 1
    again = cli(*arguments).stderr
    assert (again.count("already in"), again.count("skipped before")) == (1, 1)


def test_from_python(tmp_path, cache_dir, digits):
    frame = run(methods="lsh", bits=[8], out=tmp_path, cache_dir=cache_dir, save_models=True)
    model = load_model(next((tmp_path / "models").iterdir()))
    vectors = digits.images.reshape(1797, 64) / np.float32(255)
    assert (model.encode(vectors)[digits.split.query] == Store(tmp_path).arrays(frame["id"][0])["query_codes"]).all()


PLUGIN = """
from hashbench import HashMethod
class Own(HashMethod):
    def __init__(self, n_bits=8):
        self.n_bits = n_bits
    def fit(self, X, y=None):
        self.kept_ = {kept}
        return self
    def project(self, X):
        return X[:, 20 : 20 + self.n_bits] - 0.5
"""


def test_a_plugin_file_is_named_again_and_its_edits_are_warned_of(tmp_path, cli, digits):
    plugin, np_file = tmp_path / "own.py", tmp_path / "v.npy"
    plugin.write_text(PLUGIN.format(kept="[1, 2]"))
    np.save(np_file, digits.images.reshape(1797, 64) / 255)
    done = cli("run", "--plugin", plugin, "--methods", "own", "--bits", 8, "--out", tmp_path, "--save-models")
    assert "own 8 bits: " in done.stdout
    (model,) = (tmp_path / "models").iterdir()
    one_clear_line(cli("encode", model, np_file, "-o", tmp_path / "c.npy"), "needs the method 'own'", "--plugin")
    done = cli("encode", model, np_file, "-o", tmp_path / "c.npy", "--plugin", plugin)
    assert (done.returncode, done.stderr) == (0, "")
    plugin.write_text(PLUGIN.format(kept="[1, 2, 3]"))
    done = cli("encode", model, np_file, "-o", tmp_path / "c.npy", "--plugin", plugin)
    assert done.returncode == 0
    assert done.stderr.startswith(f"warning: {model} was trained by another version of own")
    assert done.stderr.count("\n") == 1
    plugin.write_text(PLUGIN.format(kept="0").replace("n_bits=8", "n_bits=8, *, scale"))
    done = cli("encode", model, np_file, "-o", tmp_path / "c.npy", "--plugin", plugin)
    one_clear_line(done, "does not fit the 'own' that is here", "scale")


def test_a_method_that_cannot_be_saved_keeps_its_record(tmp_path, cli):
    plugin = tmp_path / "own.py"
    plugin.write_text(PLUGIN.format(kept="object()"))
    out = tmp_path / "out"
    done = cli("run", "--plugin", plugin, "--methods", "own,lsh", "--bits", 8, "--out", out, "--save-models")
    assert done.returncode == 1
    assert "its model cannot be saved: TypeError" in done.stderr
    assert "own 8 bits: not saved" in done.stdout
    assert [record.status for record in Store(out)] == ["ok", "ok"]
    assert len(list((out / "models").iterdir())) == 1


def test_a_model_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    method = load_method("lsh")(n_bits=8, random_state=0).fit(np.eye(4, dtype=np.float32))
    method.save(tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    method.set_params(random_state=1).fit(np.eye(4, dtype=np.float32))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        method.save(tmp_path / "m.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    assert (tmp_path / "m.safetensors").read_bytes() == before


def test_models_that_are_none(kept, model, tmp_path, cli, digits):
    np.save(tmp_path / "v.npy", np.zeros((2, 64), np.float32))
    (tmp_path / "text.safetensors").write_text("nonsense" * 10)
    whole = model.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, tmp_path / "other.safetensors")
    save_file({"a": np.zeros(2)}, tmp_path / "list.safetensors", metadata={"hashbench": "[1]"})
    header, arrays = taken_apart(model)
    del header["fitted"]["n_features_in_"]
    (tmp_path / "unfitted.safetensors").write_bytes(sealed(json.dumps(header), arrays))
    for name, word in [
        ("none.safetensors", "no such file"),
        ("text.safetensors", "not a saved hashbench method"),
        ("cut.safetensors", "not a saved hashbench method"),
        ("other.safetensors", "not a saved hashbench method"),
        ("list.safetensors", "not a saved hashbench method"),
        ("unfitted.safetensors", "before it was fitted"),
        ("v.npy", "not a saved hashbench method"),
        (".", "no such file"),
    ]:
        done = cli("encode", tmp_path / name, tmp_path / "v.npy", "-o", tmp_path / "c.npy")
        one_clear_line(done, str(tmp_path / name), word)


def test_loading_a_model_imports_no_heavy_package(model, tmp_path):
    quantizer = load_quantizer("rabitq")(random_state=0).fit(np.eye(4, dtype=np.float32))
    quantizer.save(tmp_path / "rabitq.safetensors")
    code = (
        "import sys, hashbench; [hashbench.load_model(path) for path in sys.argv[1:]]\n"
        "assert not {'torch', 'timm', 'PIL', 'faiss'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(model), str(tmp_path / "rabitq.safetensors")], check=True)
