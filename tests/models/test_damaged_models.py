"""Model files that are damaged or made to do harm: one clear line each, and nothing is written."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import one_clear_line
from model_files import sealed, taken_apart
from mutations import DEEP, DIGITS, NAMES, to_json
from safetensors.numpy import save

from hashbench import InputError, load_method, load_model
from hashbench.contract.saved_file import checksum


@pytest.fixture
def altered(model, tmp_path, cli):
    """Encode three vectors with the run's ITQ, altered by a function of its header and arrays, and sealed again."""
    np.save(tmp_path / "v.npy", np.ones((3, 64), np.float32))

    def encode(alter):
        header, arrays = taken_apart(model)
        alter(header, arrays)
        (tmp_path / "m.safetensors").write_bytes(sealed(to_json(header), arrays))
        done = cli("encode", tmp_path / "m.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy")
        assert sorted(path.name for path in tmp_path.iterdir() if done.returncode) in ([], ["m.safetensors", "v.npy"])
        return done

    return encode


def put(*path_and_value):
    """Return what sets a value at a path of the header."""
    *path, key, value = path_and_value

    def alter(header, arrays):
        for step in path:
            header = header[step]
        header[key] = value

    return alter


def without(*path):
    """Return what takes an entry out of the header."""

    def alter(header, arrays):
        for step in path[:-1]:
            header = header[step]
        del header[path[-1]]

    return alter


HEADERS = [
    (put("method", 3), ["Expected a name", "got 3 - at `method`"]),
    (put("method", "../../x"), ["Expected a name", "got '../../x' - at `method`"]),
    (put("method", "lsh"), ["a saved 'lsh', not a 'itq'"]),
    (put("plugin", "/etc/passwd"), ["got '/etc/passwd' - at `plugin`"]),
    (put("plugin", "nobodys"), ["needs the method 'nobodys'"]),
    (put("plugin", ["itq"]), ["Expected a name", "at `plugin`"]),
    (put("source", 5), ["Expected `str`, got `int` - at `source`"]),
    (put("label", {}), ["Expected `str`, got `object` - at `label`"]),
    (put("record", "../r"), ["got '../r' - at `record`"]),
    (put("dataset", "/digits"), ["got '/digits' - at `dataset`"]),
    (put("protocol", "a\nb"), [r"Expected a line", r"got 'a\nb' - at `protocol`"]),
    (put("features", []), ["Expected `object`, got `array` - at `features`"]),
    (put("image_shape", [8, 8]), ["`array` of length 3", "at `image_shape`"]),
    (put("image_shape", [8, 8, "1"]), ["Expected `int`, got `str` - at `image_shape[2]`"]),
    (put("image_shape", [8, -8, 1]), ["Expected `int` >= 1 - at `image_shape[1]`"]),
    (put("params", []), ["Expected `object`, got `array` - at `params`"]),
    (put("params", "n_bits", "12"), ["Expected `int`, got `str` - at `params.n_bits`"]),
    (put("params", "n_bits", 12.0), ["Expected `int`, got `float` - at `params.n_bits`"]),
    (put("params", "n_bits", True), ["Expected `int`, got `bool` - at `params.n_bits`"]),
    (put("params", "n_bits", 0), ["Expected `int` >= 1 - at `params.n_bits`"]),
    (put("params", "n_bits", 16), ["project gives shape (1, 12)", "expected shape (1, 16)"]),
    (put("params", "n_bits", 2**63), ["expected shape (1, 9223372036854775808)"]),
    (put("params", "n_bits", DIGITS), ["its header is damaged"]),
    (put("params", "scale", 2), ["does not fit the 'itq' that is here", "scale"]),
    (put("fitted", 0), ["Expected `object`, got `int` - at `fitted`"]),
    (put("fitted", "encode", 0), ["the name of a learned value, got 'encode'", "`fitted`"]),
    (put("fitted", "__class__", 0), ["the name of a learned value, got '__class__'"]),
    (put("fitted", "directions_", [1, 2]), ["does not fit the 'itq' that is here"]),
    (put("fitted", "n_features_in_", "64"), ["Expected `int`, got `str` - at `fitted.n_features_in_`"]),
    (put("fitted", "n_features_in_", 10**12), ["Expected `int` <= 16777216 - at `fitted.n_features_in_`"]),
    (put("fitted", "n_features_in_", 63), ["does not fit the 'itq' that is here"]),
    (put("note", DEEP), ["its header is damaged"]),
    (put("note", float("nan")), ["NaN is no number"]),
    (put("note", float("-inf")), ["-Infinity is no number"]),
    (without("method"), ["missing required field `method`"]),
    (without("params"), ["missing required field `params`"]),
    (without("fitted"), ["missing required field `fitted`"]),
    (without("params", "n_bits"), ["missing required field `n_bits` - at `params`"]),
    (without("fitted", "n_features_in_"), ["before it was fitted"]),
]


@pytest.mark.parametrize(("alter", "words"), HEADERS, ids=[words[0] for _, words in HEADERS])
def test_headers_that_no_method_writes(altered, alter, words):
    one_clear_line(altered(alter), "m.safetensors", *words)


@pytest.mark.parametrize("text", ["", "null", "[1]", '"text"', "{", "{'a': 1}", '{"a": 1e999}', "\ufeff{}", "{}{}"])
def test_headers_that_are_no_object(tmp_path, text):
    (tmp_path / "m.safetensors").write_bytes(sealed(text, {"weights_": np.zeros(2)}))
    with pytest.raises(InputError, match=r"m\.safetensors is not a saved hashbench method"):
        load_model(tmp_path / "m.safetensors")


def array_dropped(header, arrays):
    del arrays["directions_"]


def array_transposed(header, arrays):
    arrays["directions_"] = np.ascontiguousarray(arrays["directions_"].T)


def array_cut(header, arrays):
    arrays["directions_"] = arrays["directions_"][:, :8].copy()


def array_of_one_number(header, arrays):
    arrays["directions_"] = np.zeros(())


def array_of_nan(header, arrays):
    arrays["directions_"][3, 1] = np.nan


def array_that_is_not_learned(header, arrays):
    arrays["../\x1b[31m"] = np.zeros(3)


ARRAYS = [
    (array_dropped, "does not fit the 'itq'"),
    (array_transposed, "does not fit the 'itq'"),
    (array_cut, "does not fit the 'itq'"),
    (array_of_one_number, "does not fit the 'itq'"),
    (array_of_nan, "its array 'directions_' holds NaN"),
    (array_that_is_not_learned, r"x1b[31m' is none that a method learns"),
]


@pytest.mark.parametrize(("alter", "word"), ARRAYS, ids=[alter.__name__ for alter, _ in ARRAYS])
def test_learned_arrays_that_no_method_writes(altered, alter, word):
    one_clear_line(altered(alter), "m.safetensors", word)


def test_an_array_of_another_type_than_numbers(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save as save_torch

    content = save_torch({"weights_": torch.zeros(3, dtype=torch.float8_e4m3fn)}, metadata={"hashbench": "{}"})
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.safetensors is not a saved hashbench method"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("change", ["header", "array", "checksum", "no checksum"])
def test_a_file_that_its_checksum_does_not_stand_for(model, tmp_path, change):
    header, arrays = taken_apart(model)
    text = json.dumps(header)
    metadata = {"hashbench": text, "sha256": checksum(text, arrays)}
    match change:
        case "header":
            metadata["hashbench"] = text.replace('"n_iter": 5', '"n_iter": 6')
            assert metadata["hashbench"] != text
        case "array":
            arrays["directions_"][0, 0] += 1e-7
        case "checksum":
            metadata["sha256"] = "0" * 64
        case "no checksum":
            del metadata["sha256"]
    (tmp_path / "m.safetensors").write_bytes(save(arrays, metadata=metadata))
    with pytest.raises(InputError, match=r"m\.safetensors is .*checksum"):
        load_model(tmp_path / "m.safetensors")


def test_a_method_with_nan_is_not_saved(tmp_path):
    method = load_method("lsh")(n_bits=8, random_state=0).fit(np.eye(4, dtype=np.float32))
    method.directions_[0, 0] = np.nan
    with pytest.raises(ValueError, match="its array 'directions_' holds NaN"):
        method.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="at `dataset`"):
        load_method("lsh")(n_bits=8).fit(np.eye(4)).save(tmp_path / "m.safetensors", dataset="../../x")
    assert not list(tmp_path.iterdir())


def test_arrays_of_any_shape_and_byte_order_come_back(tmp_path):
    method = load_method("lsh")(n_bits=8, random_state=0).fit(np.eye(4, dtype=np.float32))
    method.scalar_, method.none_ = np.float64(3.5), np.empty((2, 0))
    method.single_, method.swapped_ = np.array(2.5), np.arange(3, dtype=">f8")
    method.save(tmp_path / "m.safetensors")
    loaded = type(method).load(tmp_path / "m.safetensors")
    assert (loaded.scalar_, loaded.none_.shape, loaded.single_.shape) == (3.5, (2, 0), ())
    assert loaded.swapped_.tolist() == [0, 1, 2]


def test_images_of_another_shape_than_was_trained_on(model, digits, tmp_path, cli):
    header, arrays = taken_apart(model)
    np.save(tmp_path / "images.npy", np.repeat(digits.images[:3], 3, axis=3))
    for shape in ([8, 8, 3], [None, 8, 1], [4, 8, 1]):
        (tmp_path / "m.safetensors").write_bytes(sealed(json.dumps({**header, "image_shape": shape}), arrays))
        done = cli("encode", tmp_path / "m.safetensors", tmp_path / "images.npy", "-o", tmp_path / "c.npy")
        one_clear_line(done, "m.safetensors", f"images of shape {shape} are given, and vectors of 64 values")


def test_backbone_weights_that_are_no_networks(model, digits, tmp_path, cli):
    header, arrays = taken_apart(model)
    np.save(tmp_path / "images.npy", digits.images[:3])
    arrays["backbone_weights_"] = np.zeros(5, np.float32)
    (tmp_path / "m.safetensors").write_bytes(sealed(json.dumps(header), arrays))
    done = cli("encode", tmp_path / "m.safetensors", tmp_path / "images.npy", "-o", tmp_path / "c.npy")
    one_clear_line(done, "m.safetensors", "backbone_weights_ are not a network's")


def test_a_method_that_fails_on_the_users_rows(tmp_path, cli):
    plugin = tmp_path / "own.py"
    plugin.write_text(
        "from hashbench import HashMethod\n"
        "class Own(HashMethod):\n"
        "    def __init__(self, n_bits=2):\n"
        "        self.n_bits = n_bits\n"
        "    def fit(self, X, y=None):\n"
        "        return self\n"
        "    def project(self, X):\n"
        "        if X[0, 0] == 7:\n"
        "            raise KeyError('\\x1b[31m')\n"
        "        return X[:, : self.n_bits]\n"
    )
    load_method("own", plugins=[plugin])().fit(np.eye(4, dtype=np.float32)).save(tmp_path / "m.safetensors")
    np.save(tmp_path / "v.npy", np.full((3, 4), 7.0))
    arguments = ("encode", tmp_path / "m.safetensors", tmp_path / "v.npy", "-o", tmp_path / "c.npy")
    done = cli(*arguments, "--plugin", plugin)
    one_clear_line(done, "m.safetensors cannot encode", "v.npy", "KeyError")
    assert "\x1b" not in done.stderr


def test_a_label_gives_the_terminal_no_orders(model, tmp_path, cli):
    header, arrays = taken_apart(model)
    for label in ("\x1b]0;owned\x07\x1b[2J", "two\nlines", "\u202eqti", "\ud800", "[bold]x[/bold]", "x" * 5_000):
        text = json.dumps({**header, "label": label})
        (tmp_path / "m.safetensors").write_bytes(sealed(text, arrays))
        np.save(tmp_path / "c.npy", np.zeros((2, 2), np.uint8))
        done = cli("search", tmp_path / "m.safetensors", tmp_path / "c.npy", tmp_path / "c.npy")
        assert done.returncode == 0, done.stderr
        assert not {"\x1b", "\x07", "\u202e", "\ud800"} & set(done.stdout + done.stderr)
        title = next(line for line in done.stdout.splitlines() if "nearest of" in line)
        assert "12 bits" in title
        assert len(title) < 400
        if label.startswith("["):
            assert label in title


def test_the_contract_needs_no_safetensors():
    code = "import sys; sys.modules['safetensors'] = None; from hashbench import HashMethod; HashMethod.load"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", NAMES[:-2])
@pytest.mark.parametrize("key", ["method", "plugin", "dataset", "record"])
def test_names_lead_nowhere(altered, key, name):
    one_clear_line(altered(put(key, name)), "m.safetensors", f"at `{key}`")
