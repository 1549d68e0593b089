"""Manifests of prepared data and of cached features with any damage: a result or one clear line, no file elsewhere."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import contents, json_texts

PLUGIN = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split


class Toy(HashDataset):
    '''Made in a test.'''

    needs = source = licence = "a folder with rows.npy"
    protocols = (Protocol("toy/1", "by hand", 4, 36, 36, ("mAP@all",)),)
    backbone = "pixels"

    def read(self, options):
        return Items(images=np.load(options.data_dir / "rows.npy"), labels=np.arange(40) % 3, provenance="test")

    def split(self, items, protocol):
        return Split(np.arange(4, 40), np.arange(4), np.arange(4, 40))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory, cli):
    """Return a folder with a plugin, its files, and a cache in which it is prepared and its features are."""
    home = tmp_path_factory.mktemp("fuzzed") / "home"
    (home / "files").mkdir(parents=True)
    (home / "toy.py").write_text(PLUGIN)
    np.save(home / "files" / "rows.npy", np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8))
    done = run_in(home, cli)
    assert done.returncode == 0, done.stderr
    return home


def run_in(home, cli):
    arguments = ("--plugin", home / "toy.py", "--dataset", "toy", "--data-dir", home / "files", "--methods", "lsh")
    return cli("run", *arguments, "--bits", 4, "--cache-dir", home / "cache", "--out", home / "out", "--fresh")


def manifests(home):
    found = sorted(path.relative_to(home) for path in (home / "cache").rglob("manifest.json"))
    assert len(found) == 2, found
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_gives_anything_but_a_result_or_one_line(home, cli, data):
    damaged = data.draw(st.sampled_from(manifests(home)))
    content = (home / damaged).read_bytes()
    odd = data.draw(st.one_of(contents(content), json_texts(json.loads(content)).map(as_bytes)))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a" / "home"
        shutil.copytree(home, copy)
        (copy / damaged).write_bytes(odd)
        done = run_in(copy, cli)
        assert done.returncode in (0, 2), done.stderr
        assert "unexpected" not in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in Path(folder).iterdir()] == ["a"]
        assert [path.name for path in (Path(folder) / "a").iterdir()] == ["home"]
        assert {path.name for path in copy.iterdir()} == {"cache", "files", "out", "toy.py"}
        if done.returncode:
            (line,) = [line for line in done.stderr.splitlines() if line.startswith("hashbench: ")]
            assert str(copy) in line


def as_bytes(text):
    return text.encode("utf-8", "surrogatepass")
