"""Runs that a file describes, and the file that every run writes."""

import tomllib

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench.records.store import Store
from hashbench.runs.job import Setting
from hashbench.runs.requested.config import read_config

BENCH = """
bits = [8, 16]
seeds = "0,1"
out = "records of mine"
save-models = false

[[methods]]
name = "sph"
max_iter = [5, 10]

[[methods]]
name = "lsh"
"""


def ids(out):
    return sorted(record.id for record in Store(out))


def write(tmp_path, text):
    file = tmp_path / "bench.toml"
    file.write_text(text)
    return file


def test_a_file_is_the_same_run_as_the_command_line(tmp_path, cli):
    done = cli("run", write(tmp_path, BENCH))
    assert done.returncode == 0, done.stderr
    methods = "sph[max_iter=5|10],lsh"
    cli("run", "--methods", methods, "--bits", "8,16", "--seeds", "0,1", "--out", tmp_path / "other")
    assert len(ids(tmp_path / "other")) == 12
    assert ids(tmp_path / "records of mine") == ids(tmp_path / "other")


def test_the_command_line_wins(tmp_path, cli):
    cli("run", write(tmp_path, BENCH), "--methods", "lsh", "--seeds", 3, "--out", tmp_path / "out")
    assert {(r.label, r.config["n_bits"], r.config["seed"]) for r in Store(tmp_path / "out")} == {
        ("lsh", 8, 3),
        ("lsh", 16, 3),
    }
    assert not (tmp_path / "records of mine").exists()


@pytest.mark.slow
def test_every_run_writes_the_file_that_repeats_it(tmp_path, cli, photos_plugin):
    first, second = tmp_path / "first", tmp_path / "second"
    methods = "sph[max_iter=3|4],agh[n_anchors=20]"  # quick, though the photos have 3,072 pixels
    arguments = ("--plugin", photos_plugin, "--dataset", "photos,digits", "--backbone", "pixels", "--bits", 8)
    assert cli("run", "--methods", methods, *arguments, "--out", first).returncode == 0
    done = cli("run", first / "run.toml", "--out", second)
    assert done.returncode == 0, done.stderr
    assert len(ids(first)) == 6
    assert ids(first) == ids(second)
    codes = [{record.id: record.codes_sha256 for record in Store(out)} for out in (first, second)]
    assert codes[0] == codes[1]
    again = cli("run", first / "run.toml")
    assert again.stderr.count("already in") == 6
    assert tomllib.loads((second / "run.toml").read_text())["out"] == str(second)


@pytest.fixture
def vectors(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "query.npy", rng.standard_normal((20, 16), dtype=np.float32))
        np.save(tmp_path / name / "database.npy", rng.standard_normal((200, 16), dtype=np.float32))
    return tmp_path


def test_data_sets_with_separate_options(vectors, cli):
    text = 'methods = ["lsh"]\nbits = 8\nout = "out"\n'
    for name in ("one", "two"):
        text += f'[[datasets]]\nname = "vectors"\ndata_dir = "{name}"\n'
    done = cli("run", write(vectors, text + '[[datasets]]\nname = "digits"\nbackbone = "pixels"\n'))
    assert done.returncode == 0, done.stderr
    records = list(Store(vectors / "out"))
    assert sorted(record.config["dataset"] for record in records) == ["digits", "vectors", "vectors"]
    assert len({record.config["data"] for record in records}) == 3
    repeated = cli("run", vectors / "out" / "run.toml")
    assert repeated.stderr.count("already in") == 3


def test_values_become_specifications(tmp_path):
    text = (
        'methods = ["itq", {name = "cibhash", widths = [[1024, 256], [512]], beta = [0, 0.001], log = true,'
        ' note = "a,b|c", backbone = "vgg16"}]\n'
        'dataset = ["digits", "mnist"]\njobs = 2\ntimeout = 5\nplugin = "mine.py"\ndata_dir = "~/x"\n'
    )
    values = read_config(write(tmp_path, text))
    assert values["methods"] == (
        "itq,cibhash[widths=[1024,256]|[512],beta=0|0.001,log=True,note='a,b|c',backbone=vgg16]"
    )
    assert values["dataset"] == "digits,mnist"
    assert values["jobs"] == 2
    assert values["plugins"] == (tmp_path / "mine.py",)
    assert values["data_dir"].name == "x"
    assert "~" not in str(values["data_dir"])
    tables = write(tmp_path, '[[datasets]]\nname = "coco"\nprotocol = ["a/1", "b/1"]\nsplits = "lists"\n')
    assert read_config(tables)["datasets"] == (Setting("coco", "a/1,b/1", None, None, tmp_path / "lists"),)


BAD = [
    ("bits = [8\nout = 1", "cannot be read as TOML", "line 2"),
    ("bits = 8\nbitz = 8", "line 2", "unknown key 'bitz'; did you mean 'bits'?"),
    ("\nbits = true", "line 2", "bits = True: expected a text, or a list"),
    ("jobs = 1.5", "line 1", "jobs = 1.5: expected a whole number"),
    ("jobs = 0", "line 1", "--jobs 0: expected at least 1"),
    ("fresh = 1", "line 1", "expected true or false"),
    ("out = 3", "line 1", "expected a path"),
    ("timeout = 'x'", "line 1", "expected a number"),
    ("plugin = [1]", "line 1", "expected a path"),
    ("save-models = true\nsave_models = true", "'save_models' is given twice"),
    ("# bits\n\nbits = [8, 0]", "line 3", "--bits 0"),
    ("methods = ['lsh', 'iqt']", "line 1", "did you mean 'itq'"),
    ("[[methods]]\nname = 'lsh'\n[[methods]]\nname = 'cibhash'\nbta = 1", "line 5", "did you mean 'beta'"),
    ("[[methods]]\nname = 'cibhash'\nbeta = 'x'", "line 3", "not a finite number"),
    ("[[methods]]\nname = 'lsh'\n[[methods]]\nbeta = 1", "line 3", "a method is a text, or a table with name"),
    ("[[methods]]\nname = 'cibhash'\nbeta = []", "line 3", "a list is a grid"),
    ("[[methods]]\nname = 'cibhash'\nbeta = 1979-05-27", "line 3", "is no number"),
    ("methods = []", "line 1", "--methods is empty"),
    ("dataset = 'digits'\n[[datasets]]\nname = 'digits'", "line 1", "not both"),
    ("[[datasets]]\nname = 'digits'\n[[datasets]]\ndata-dri = 'x'", "line 4", "did you mean 'data_dir'"),
    ("[[datasets]]\nprotocol = 'x'", "line 1", "without a name"),
    ("datasets = ['digits']", "line 1", "[[datasets]] with name"),
    ("[[datasets]]\nname = 'digtis'", "line 2", "did you mean 'digits'"),
    ("[[datasets]]\nname = 'digits'\nprotocol = 'digits/7'", "line 3", "expected one of digits/1"),
]


@pytest.mark.parametrize(("text", "words"), [(text, words) for text, *words in BAD], ids=[text for text, *_ in BAD])
def test_mistakes_are_named_with_their_line(tmp_path, cli, text, words):
    file = write(tmp_path, text)
    out = () if text.startswith("out") else ("--out", tmp_path / "out")
    one_clear_line(cli("run", file, *out), str(file), *words)


@pytest.mark.parametrize("content", [None, b"\xff\xfe bits", b"a = " + b"[" * 100_000])
def test_a_file_that_cannot_be_read(tmp_path, cli, content):
    file = tmp_path / "bench.toml"
    if content is not None:
        file.write_bytes(content)
    one_clear_line(cli("run", file), str(file))


def test_a_mistake_of_the_command_line_is_not_blamed_on_the_file(tmp_path, cli):
    done = cli("run", write(tmp_path, "bits = 8"), "--bits", 0, "--out", tmp_path / "out")
    one_clear_line(done, "hashbench: --bits 0: expected")


def test_what_repeats_a_run_asks_for_what_was_asked(vectors, cli):
    arguments = ("--dataset", "vectors", "--data-dir", vectors / "one", "--methods", "float32,lsh", "--bits", "16")
    assert cli("run", *arguments, "--seeds", "1,0,1", "--out", vectors / "out").returncode == 0
    assert tomllib.loads((vectors / "out" / "run.toml").read_text())["bits"] == [16]
    assert tomllib.loads((vectors / "out" / "run.toml").read_text())["seeds"] == [1, 0]
    before = ids(vectors / "out")
    assert cli("run", vectors / "out" / "run.toml").returncode == 0
    assert ids(vectors / "out") == before
