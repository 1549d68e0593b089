"""An exported protocol: items, order and labels as loaders of others read them, whole or not at all."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from disk_limits import files_of_at_most
from filelock import FileLock
from little_nuswide import SMALL
from PIL import Image
from toy_images import noise

from hashbench import InputError, load_dataset
from hashbench.data.exported.export import export
from hashbench.data.exported.manifest import order_sha256, read_manifest

PARTS = {"query": "test.txt", "train": "train.txt", "database": "database.txt"}


def as_deephash_pytorch_reads(folder, name):
    """Return files and marks as its ImageList does: the first word behind data_path, the others as numbers."""
    lines = (folder / name).open().readlines()
    return [f"{folder}/" + line.split()[0] for line in lines], [
        [int(mark) for mark in line.split()[1:]] for line in lines
    ]


def as_hashnet_reads(folder, name):
    """Return the same as HashNet's make_dataset does: marks where more than two words are in the first line."""
    lines = (folder / name).open().readlines()
    assert len(lines[0].split()) > 2
    return [line.split()[0] for line in lines], [np.array([int(mark) for mark in line.split()[1:]]) for line in lines]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(photos_plugin):
    return load_dataset("photos", plugins=(photos_plugin,))


def test_arrays_are_the_data_sets(tmp_path, digits):
    manifest, is_new = export(digits, tmp_path / "out")
    assert is_new
    arrays = {file.stem: np.load(file) for file in (tmp_path / "out").glob("*.npy")}
    assert (arrays["images"] == digits.images).all()
    for part in PARTS:
        rows = getattr(digits.split, part)
        assert (arrays[part] == rows).all()
        assert (arrays[f"{part}_labels"] == digits.labels[rows]).all()
        assert manifest["parts"][part]["order_sha256"] == hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    assert manifest == read_manifest(tmp_path / "out")
    assert manifest["protocol_sha256"] == digits.protocol.hash
    assert (manifest["items_sha256"], manifest["data_sha256"]) == (digits.data_fingerprint, digits.fingerprint)
    for name, checksum in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == checksum


def test_order_is_part_of_the_checksum():
    rows = np.array([3, 1, 2])
    assert order_sha256(rows) == order_sha256(rows.astype(np.int32)) != order_sha256(rows[::-1])


@pytest.mark.parametrize("read", [as_deephash_pytorch_reads, as_hashnet_reads])
def test_lists_are_read_by_loaders_of_others(tmp_path, monkeypatch, photos, read):
    export(photos, tmp_path / "out", images="png")
    monkeypatch.chdir(tmp_path / "out")
    for part, name in PARTS.items():
        files, marks = read(tmp_path / "out", name)
        rows = getattr(photos.split, part)
        assert np.array_equal(np.argmax(marks, axis=1), photos.labels[rows])
        assert (np.sum(marks, axis=1) == 1).all()
        for file, row in zip(files, rows, strict=True):
            assert (np.asarray(Image.open(file).convert("RGB")) == photos.images[row]).all()


def test_split_lists_of_several_labels_are_a_data_set_again(tmp_path, official_nuswide):
    dataset = load_dataset("nuswide", data_dir=official_nuswide, protocol=SMALL, cache_dir=tmp_path / "cache")
    export(dataset, tmp_path / "out", images="png")
    again = load_dataset("nuswide", data_dir=tmp_path / "out", cache_dir=tmp_path / "cache")
    for part in PARTS:
        rows, other = getattr(dataset.split, part), getattr(again.split, part)
        assert (again.labels[other] == dataset.labels[rows]).all()
        assert (again.images[other] == dataset.images[rows]).all()
    export(dataset, tmp_path / "names", images="none")
    files, _ = as_hashnet_reads(tmp_path / "names", "test.txt")
    assert all((official_nuswide / "Flickr" / file).is_file() for file in files)
    assert not (tmp_path / "names" / "images").exists()


def test_paths_that_loaders_would_cut_make_no_lists(tmp_path, capsys):
    for number in range(12):
        file = tmp_path / "data" / ("my cats", "dogs")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise(8, 8 + number % 3, number).save(file)
    dataset = load_dataset("folder", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    export(dataset, tmp_path / "names")
    assert "no lists: 6 of 12 paths have spaces" in capsys.readouterr().err
    assert not (tmp_path / "names" / "test.txt").exists()
    export(dataset, tmp_path / "files", images="files")
    files, _ = as_deephash_pytorch_reads(tmp_path / "files", "database.txt")
    for file, row in zip(files, dataset.split.database, strict=True):
        assert Path(file).read_bytes() == (tmp_path / "data" / dataset.names[row]).read_bytes()
    with pytest.raises(InputError, match="images of many sizes; choose png, files or none"):
        export(dataset, tmp_path / "array", images="npy")


def test_vectors_come_with_their_neighbours(tmp_path, cli):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32))
    dataset = load_dataset("vectors", data_dir=tmp_path / "vectors.npy", cache_dir=tmp_path / "cache")
    manifest, _ = export(dataset, tmp_path / "out")
    assert manifest["relevance"] == "neighbors"
    assert (np.load(tmp_path / "out" / "features.npy") == dataset.features).all()
    assert (np.load(tmp_path / "out" / "neighbors.npy") == dataset.neighbors).all()
    assert not list((tmp_path / "out").glob("*.txt"))
    assert "--neighbors neighbors.npy" in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(InputError, match="vectors and no images"):
        export(dataset, tmp_path / "png", images="png")


def test_the_same_export_is_kept_and_another_is_refused(tmp_path, photos, cli):
    _, is_new = export(photos, tmp_path / "out", images="png")
    (tmp_path / "out" / "query_codes.npy").write_bytes(b"the user's")
    before = contents(tmp_path / "out")
    manifest, again = export(photos, tmp_path / "out", images="png")
    assert (is_new, again) == (True, False)
    assert contents(tmp_path / "out") == before
    assert "images/" in manifest["files"]
    with pytest.raises(InputError, match=r"holds another export \(it differs in images\)"):
        export(photos, tmp_path / "out", images="npy")
    image = next((tmp_path / "out" / "images").iterdir())
    image.write_bytes(image.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="images/ is not as it was exported"):
        export(photos, tmp_path / "out", images="png")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(InputError, match="damaged or of another version"):
        export(photos, tmp_path / "out", images="png")
    one_clear_line(cli("data", "export", "digits", "-o", image), "is a file; name a folder")
    one_clear_line(cli("data", "export", "digits", "-o", image.parent), "holds no exported protocol")


def test_a_folder_without_a_manifest_is_no_export(tmp_path):
    with pytest.raises(InputError, match=r"is no exported protocol: .*manifest.json cannot be read"):
        read_manifest(tmp_path)


def test_an_empty_folder_is_filled(tmp_path, photos):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    export(photos, tmp_path / "link")
    assert read_manifest(tmp_path / "out")["dataset"] == "photos"


def test_a_full_disk_leaves_nothing(tmp_path, cli):
    with files_of_at_most(4096):
        done = cli("data", "export", "digits", "-o", tmp_path / "out")
    one_clear_line(done, "cannot be written (File too large)", "make room or name another folder")
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from hashbench import load_dataset
from hashbench.data.exported import export as module

module.write_lists = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
module.export(load_dataset("digits"), Path(sys.argv[1]), "png")
"""


def test_what_a_killed_export_leaves_goes_with_the_next(tmp_path, digits):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert len(list((left / "images").iterdir())) == len(digits)
    with FileLock(left / "lock"), pytest.raises(InputError, match="another process exports to it"):
        export(digits, tmp_path / "out")
    assert len(list((left / "images").iterdir())) == len(digits)
    export(digits, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    there = {str(path) for path in contents(tmp_path / "out")}
    assert there == {*read_manifest(tmp_path / "out")["files"], "manifest.json"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--images", "jpg"), ("--images jpg", "npy, png, files, none")),
        (("--images", "files"), ("keeps images of one size as an array",)),
        (("--protocol", "digits/9"), ("expected one of digits/1",)),
        (("--label-column", "x"), ("digits has no use for it",)),
    ],
)
def test_bad_options_are_one_line(tmp_path, cli, options, words):
    one_clear_line(cli("data", "export", "digits", "-o", tmp_path / "out", *options), *words)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_wrote(tmp_path, cli):
    protocol = "digits/1[queries_per_class=5]"
    done = cli("data", "export", "digits", "-o", tmp_path / "out", "--images", "none", "--protocol", protocol)
    assert done.returncode == 0, done.stderr
    assert f"{protocol}, query 50, train 1,747, database 1,747; see README.md there" in done.stdout
    assert not (tmp_path / "out" / "images.npy").exists()
    done = cli("data", "export", "digits", "-o", tmp_path / "out", "--images", "none", "--protocol", protocol)
    assert "(was there already)" in done.stdout
