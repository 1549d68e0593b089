"""Data set plugins that fail, end the program or return something else; lists with marks; labels nobody shares."""

import json

import numpy as np
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_dataset
from hashbench.data.prepared.entries import entries, read_entry
from hashbench.data.readers.image_folder import find_images
from hashbench.data.readers.published_lists import read_lists

PLUGIN = """
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split
class Bad(HashDataset):
    protocols = (Protocol('bad/1', 'by hand', 2, 8, 8, ('mAP@all',)),)
    labels = {labels}
    def read(self, options):
        {read}
        return Items(features=np.ones((10, 4), np.float32), labels=self.labels)
    def settle(self, items, protocol, options):
        {settle}
        return protocol, items
    def split(self, items, protocol):
        {split}
        return Split(np.arange(8), np.array([8, 9]), np.arange(8))
    def neighbors(self, items, split, options):
        {neighbors}
        return np.zeros((2, 3), np.int64)
"""
STEPS = ("read", "settle", "split", "neighbors")


def plugin(folder, labels="np.arange(10) % 2", **steps):
    file = folder / "bad.py"
    file.write_text(PLUGIN.format(labels=labels, **{step: steps.get(step, "pass") for step in STEPS}))
    return file


@pytest.mark.parametrize("raised", ["raise ValueError('a\\nb')", "raise SystemExit(0)", "1 / 0", "raise GeneratorExit"])
@pytest.mark.parametrize("step", STEPS)
def test_what_a_plugin_raises_is_one_line_that_names_it(step, raised, tmp_path, cli):
    labels = "None" if step == "neighbors" else "np.arange(10) % 2"
    file = plugin(tmp_path, labels, **{step: raised})
    done = cli("run", "--plugin", file, "--dataset", "bad", "--methods", "lsh", "--out", tmp_path / "out")
    kind = {"raise V": "ValueError: a b", "raise S": "SystemExit: 0", "1 / 0": "ZeroDivisionError: division by zero"}
    one_clear_line(done, f"data set bad ({file}): {step} failed: {kind.get(raised[:7], 'GeneratorExit')}")
    assert not list((tmp_path / "out").glob("records/*.json"))


def test_what_a_plugin_raises_while_it_is_prepared(tmp_path, cli):
    file = plugin(tmp_path, read="raise SystemExit(0)")
    done = cli("data", "prepare", "bad", "--plugin", file, "--cache-dir", tmp_path / "cache")
    one_clear_line(done, f"data set bad ({file}): read failed: SystemExit: 0")


@pytest.mark.parametrize(
    ("step", "value"),
    [("read", "None"), ("read", "[1]"), ("split", "(1, 2, 3)"), ("read", "Items(features=[[1.0]], labels=[1])")],
)
def test_what_a_plugin_returns_is_looked_at(step, value, tmp_path):
    file = plugin(tmp_path, **{step: f"return {value}"})
    with pytest.raises(InputError, match=rf"data set bad \(.*bad\.py\): .*{step} returned"):
        load_dataset("bad", plugins=(file,), cache_dir=tmp_path / "cache", data_dir=tmp_path)


def test_labels_that_no_two_share_are_refused(tmp_path):
    np.savez(tmp_path / "own.npz", vectors=np.random.default_rng(0).random((60, 4), np.float32), labels=np.arange(60))
    with pytest.raises(InputError, match=r"vectors: no query shares a label .* every score would be 0"):
        load_dataset("vectors", data_dir=tmp_path / "own.npz", cache_dir=tmp_path / "cache")


def test_queries_that_share_no_label_are_counted(tmp_path, capsys):
    file = plugin(tmp_path, "np.array([0] * 9 + [7])")
    load_dataset("bad", plugins=(file,), cache_dir=tmp_path / "cache")
    assert "bad: warning: 1 of 2 queries share no label" in capsys.readouterr().err
    multi = "np.eye(10, 3, dtype=bool) | (np.arange(10) == 8)[:, None]"
    load_dataset("bad", plugins=(plugin(tmp_path, multi),), cache_dir=tmp_path / "cache")
    assert "1 of 2 queries share no label with anything in the database, row 9" in capsys.readouterr().err


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path):
    (tmp_path / "query.txt").write_bytes("\ufeffa.png\r\n".encode())
    (tmp_path / "train.txt").write_bytes("\ufeffä.png\nc.png\n".encode())
    split, _ = read_lists(tmp_path, ["a.png", "ä.png", "c.png"], 3)
    assert (split.query.tolist(), split.train.tolist()) == ([0], [1, 2])


# --- links ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path):
    """Return a folder of two classes of twelve images each."""
    rng = np.random.default_rng(0)
    for row in range(24):
        file = tmp_path / "pets" / ("cat", "dog")[row % 2] / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file)
    return tmp_path / "pets"


@pytest.mark.parametrize("name", ["cat/gone.png", "cat/self.png"])
def test_an_image_link_that_leads_nowhere_is_named_or_left_out(name, pets, tmp_path, cli):
    link = pets / name
    link.symlink_to(link.name if link.stem == "self" else "/nowhere/at/all.png")
    command = ("data", "prepare", "folder", "--from", pets, "--cache-dir", tmp_path / "cache")
    one_clear_line(cli(*command), "1 of 25 listed images are missing", name, "--skip-broken")
    done = cli(*command, "--skip-broken")
    assert done.returncode == 0, done.stderr
    assert "24 items, 1 broken or missing left out" in done.stdout
    (entry,) = entries(tmp_path / "cache")
    assert entry.manifest["left_out"] == [name]


@pytest.mark.parametrize("name", ["loop", "cat/loop", "gone"])
def test_a_link_to_itself_or_nowhere_is_one_clear_line(name, pets, tmp_path, cli):
    link = pets / name
    link.symlink_to("/nowhere" if name == "gone" else link.name)
    done = cli("data", "prepare", "folder", "--from", pets, "--cache-dir", tmp_path / "cache")
    one_clear_line(done, f"{link} is a link that leads nowhere or to itself")
    with pytest.raises(InputError, match="leads nowhere or to itself"):
        find_images(pets)


def test_a_lost_part_is_not_dropped(pets, tmp_path):
    for part in ("query", "database"):
        (tmp_path / "own" / part).parent.mkdir(exist_ok=True)
        (tmp_path / "own" / part).symlink_to(pets)
    (tmp_path / "own" / "train").symlink_to("/nowhere")
    with pytest.raises(InputError, match="own/train is a link that leads nowhere"):
        load_dataset("folder", data_dir=tmp_path / "own", cache_dir=tmp_path / "cache")


# --- manifests -----------------------------------------------------------------------------------------------

ODD = {
    "dataset": [1, None, "../x", "/etc/x", "folder/../x"],
    "n_items": ["24", -1, 1.5, True],
    "date": [5, None],
    "from": [3, ["x"]],
    "skip_broken": ["no", 0],
    "provenance": [7],
    "sha256": [None],
    "arrays": [[], {"labels": 3}, {"labels": {"dtype": 1}}, {"labels": {"shape": [-1]}}],
    "label_names": ["ab", [1]],
    "parts": [3, [None]],
    "left_out": ["ab", 5],
    "reasons": [{}],
    "similarity": [1],
    "names_sha256": [1],
}


@pytest.mark.slow
@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ODD.items() for value in values])
def test_a_manifest_of_odd_types_is_a_damaged_entry(key, value, pets, tmp_path, cli):
    cache = ("--cache-dir", tmp_path / "cache")
    assert cli("data", "prepare", "folder", "--from", pets, *cache).returncode == 0
    (entry,) = entries(tmp_path / "cache")
    facts = json.loads((entry.folder / "manifest.json").read_text())
    (entry.folder / "manifest.json").write_text(json.dumps({**facts, key: value}))
    assert read_entry(entry.folder) is None
    assert "nothing is prepared" in cli("data", "list", *cache).stdout
    one_clear_line(cli("data", "verify", "folder", *cache), "folder is not prepared", "is damaged")
    assert len(load_dataset("folder", data_dir=pets, cache_dir=tmp_path / "cache")) == 24
    assert cli("data", "remove", "folder", *cache).returncode == 0
    assert not entry.folder.exists()


def test_arrays_that_no_file_can_hold_are_a_damaged_entry(pets, tmp_path, cli):
    cache = ("--cache-dir", tmp_path / "cache")
    cli("data", "prepare", "folder", "--from", pets, *cache)
    (entry,) = entries(tmp_path / "cache")
    facts = json.loads((entry.folder / "manifest.json").read_text())
    for change in ({"dtype": "nonsense"}, {"dtype": "O"}, {"shape": [10**9, 10**9]}, {"shape": [5]}):
        arrays = {**facts["arrays"], "labels": {**facts["arrays"]["labels"], **change}}
        (entry.folder / "manifest.json").write_text(json.dumps({**facts, "arrays": arrays}))
        one_clear_line(cli("data", "verify", "folder", *cache), "damaged", "hashbench data remove")
