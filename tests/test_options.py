"""Options given by Python, by a file and by the command line are checked alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import hashbench
from hashbench.errors import InputError
from hashbench.options import home_expanded, megabytes, option, options_of
from hashbench.plugins.registry import Registry
from hashbench.runs.requested.options import RunOptions


def asked(**values):
    return options_of(RunOptions, values)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"bits": 32}, "32"),
        ({"bits": [16, 32]}, "16,32"),
        ({"bits": np.array([16, 32])}, "16,32"),
        ({"seeds": range(3)}, "0,1,2"),
        ({"methods": ["itq", "lsh[n_bits=3]"]}, "itq,lsh[n_bits=3]"),
        ({"dataset": ("digits", "mnist")}, "digits,mnist"),
        ({"jobs": "2"}, 2),
        ({"jobs": np.int64(2)}, 2),
        ({"timeout": "2.5"}, 2.5),
        ({"timeout": 3}, 3.0),
        ({"max_memory": "2GB"}, 2000.0),
        ({"max_memory": 700}, 700.0),
        ({"out": "~/x"}, Path.home() / "x"),
        ({"out": Path("~/x")}, Path.home() / "x"),
        ({"data_dir": None}, None),
        ({"plugins": ["mine.py"]}, (Path("mine.py"),)),
        ({"plugins": "mine.py"}, (Path("mine.py"),)),
        ({"plugins": (Path("~/mine.py"),)}, (Path.home() / "mine.py",)),
    ],
)
def test_values_are_taken_in_every_usual_form(given, held):
    (name,) = given
    value = getattr(asked(**given), name)
    assert value == held
    assert type(value) is type(held) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"bits": [16.9]}, "--bits [16.9]: expected a text, or a list of texts or whole numbers"),
        ({"bits": True}, "--bits True: expected a text"),
        ({"seeds": [0.7, 1.9]}, "--seeds [0.7, 1.9]: expected a text"),
        ({"methods": [1.5]}, "--methods"),
        ({"methods": None}, "--methods None"),
        ({"jobs": 0}, "--jobs 0: expected at least 1"),
        ({"jobs": 1.0}, "--jobs 1.0: expected a whole number"),
        ({"jobs": True}, "--jobs True: expected a whole number"),
        ({"jobs": "two"}, "--jobs two: expected a whole number"),
        ({"timeout": "soon"}, "--timeout soon: expected a number"),
        ({"timeout": float("nan")}, "--timeout nan: expected at least"),
        ({"fresh": 1}, "--fresh 1: expected true or false"),
        ({"out": 3}, "--out 3: expected a path"),
        ({"out": ""}, "--out : expected a path"),
        ({"plugins": [3]}, "--plugin [3]: expected a path"),
        ({"device": "gpu"}, "--device gpu: expected one of auto, cpu, cuda"),
        ({"max_memory": "much"}, "--max-memory much: expected MB, or a size such as 2GB"),
    ],
)
def test_others_are_refused_in_one_line(given, told):
    with pytest.raises(InputError) as caught:
        asked(**given)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("given", [{"bits": [16.9]}, {"jobs": 0}, {"plugins": [3]}])
def test_python_refuses_before_it_starts_anything(given, tmp_path):
    with pytest.raises(InputError, match=r"^--"):
        hashbench.run(out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("700", 700),
        ("2GB", 2000),
        ("2 gb", 2000),
        ("1.5GiB", 1.5 * 2**30 / 1e6),
        ("500M", 500),
        ("1e3", 1000),
        ("500k", 0.5),
        ("2000000B", 2),
        ("1TB", 1e6),
    ],
)
def test_sizes(text, size):
    assert megabytes(text) == pytest.approx(size)


@pytest.mark.parametrize("text", ["", "GB", "2 apples", "-1GB", "1..5", "2GiBB", "nan"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match=r"MB|convert"):
        megabytes(text)


def test_an_unknown_home_stays_a_name():
    assert home_expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    assert home_expanded("a~b") == Path("a~b")


def test_the_home_is_meant_wherever_python_takes_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal((300, 16), dtype=np.float32))
    (tmp_path / "mine.py").write_text("")
    assert hashbench.load_dataset("vectors", data_dir="~/v.npy", cache_dir="~/cache").name == "vectors"
    assert (tmp_path / "cache").is_dir()
    assert Registry(["~/mine.py"]).extra_files == Registry("~/mine.py").extra_files == [tmp_path / "mine.py"]
    with pytest.raises(InputError, match=str(tmp_path)):
        hashbench.load_model("~/model.safetensors")
    with pytest.raises(InputError, match=str(tmp_path)):
        hashbench.compare("~/runs")


def test_only_options_are_looked_at():
    @dataclass
    class Some:
        number: int = option(1, "A number.", minimum=1)
        rest: str = "as it is"

    assert options_of(Some, {"rest": 3}).rest == 3
