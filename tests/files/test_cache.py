"""Arrays that grow on disk: resumed, damaged, verified, and refused by a full disk."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

from hashbench import InputError, load_dataset
from hashbench.features.opening import open_source
from hashbench.features.options import BackboneOptions
from hashbench.files import writing
from hashbench.files.cache import GrowingArray, verify_cached


def test_a_growing_array_grows_resumes_and_never_computes_twice(tmp_path):
    calls = []

    def step(first):
        calls.append(first)
        return np.full((2, 3), first, np.float32)

    data, manifest = GrowingArray(tmp_path / "a").ensure(5, step, {"what": "test"})
    assert calls == [0, 2, 4]
    assert data[:, 0].tolist() == [0, 0, 2, 2, 4]
    assert manifest["rows"] == 6
    more, _ = GrowingArray(tmp_path / "a").ensure(8, step, {})
    assert calls == [0, 2, 4, 6]
    assert more[:, 1].tolist() == [0, 0, 2, 2, 4, 4, 6, 6]
    with pytest.raises(ValueError, match="read-only"):
        more[0] = 1


def test_what_a_killed_writer_left_behind_is_written_again(tmp_path):
    entry = GrowingArray(tmp_path)

    def dies(first):
        if first == 4:
            raise KeyboardInterrupt
        return np.full((2, 3), first, np.int16)

    with pytest.raises(KeyboardInterrupt):
        entry.ensure(6, dies, {})
    with (tmp_path / "data.bin").open("ab") as stream:
        stream.write(b"half a row")
    data, _ = entry.ensure(6, lambda first: np.full((2, 3), first + 100, np.int16), {})
    assert data[:, 2].tolist() == [0, 0, 2, 2, 104, 104]


@pytest.mark.parametrize("damage", ["{", "{}", None])
def test_a_damaged_entry_is_made_anew(tmp_path, damage):
    entry = GrowingArray(tmp_path)
    entry.ensure(2, lambda first: np.zeros((2, 1)), {})
    if damage is None:
        (tmp_path / "data.bin").write_bytes(b"")
    else:
        (tmp_path / "manifest.json").write_text(damage)
    data, _ = entry.ensure(2, lambda first: np.ones((2, 1)), {})
    assert data.tolist() == [[1.0], [1.0]]


def rows(first):
    return np.full((2, 3), first, np.float32)


class Full:
    """Stands in for os.fsync on a disk that is full from the n-th call on."""

    def __init__(self, n):
        self.left = n

    def __call__(self, handle):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("n_calls", range(4))  # data and manifest of two steps
def test_a_full_disk_is_one_clear_line_and_loses_one_step(n_calls, tmp_path, monkeypatch):
    entry = GrowingArray(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", Full(n_calls))
        with pytest.raises(
            InputError, match=r"a/(data\.bin|manifest\.json) cannot be written \(No space left.*make room"
        ):
            entry.ensure(4, rows, {})
    assert entry.n_rows == 2 * (n_calls // 2)
    assert {file.name for file in entry.directory.iterdir()} <= {"data.bin", "manifest.json", "lock"}
    if n_calls % 2 == 0:
        assert (entry.directory / "data.bin").stat().st_size == entry.n_rows * 12
    data, _ = entry.ensure(4, rows, {})
    assert data[:, 0].tolist() == [0, 0, 2, 2]
    assert list(entry.problems()) == []


def test_a_cache_that_is_no_folder_is_one_clear_line(tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(InputError, match=r"a/b cannot be written \(Not a directory\)"):
        GrowingArray(tmp_path / "a" / "b").ensure(2, rows, {})


def test_errors_of_the_computation_are_not_the_disk_s(tmp_path):
    def fails(first):
        raise FileNotFoundError(2, "of the computation")

    with pytest.raises(FileNotFoundError, match="of the computation"):
        GrowingArray(tmp_path).ensure(2, fails, {})


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": "2"},
        {"rows": -1},
        {"rows": True},
        {"rows": 2.0},
        {"rows": None},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"dtype": "O"},
        {"dtype": 4},
        {"dtype": "<f3"},
        {"row_shape": 3},
        {"row_shape": ["3"]},
        {"row_shape": [-3]},
        {"row_shape": []},
        {"row_shape": [0]},
        {"row_shape": [1, 3]},
        {"steps": 1},
        {"steps": [1]},
        {"steps": [{"first": "0", "rows": 2, "sha256": ""}]},
        {"steps": [{"first": 0}]},
    ],
)
def test_a_manifest_of_odd_types_is_a_damaged_entry(damage, tmp_path):
    entry = GrowingArray(tmp_path / "features" / "a")
    entry.ensure(2, rows, {})
    manifest = entry.directory / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **damage}))
    assert entry.manifest() is None
    (line,) = verify_cached(tmp_path)
    assert str(manifest) in line
    data, _ = entry.ensure(2, lambda first: rows(7), {})
    assert (data == 7).all()
    assert verify_cached(tmp_path) == []


@pytest.mark.parametrize("content", ["[]", "null", "3", "[" * 100_000])
def test_a_manifest_that_is_no_object_is_a_damaged_entry(content, tmp_path):
    (tmp_path / "manifest.json").write_text(content)
    assert GrowingArray(tmp_path).manifest() is None
    GrowingArray(tmp_path).ensure(2, rows, {})


def test_a_flipped_bit_is_noticed(tmp_path):
    for name, axes in (("features/a", (2, 3)), ("views/b", (2, 1, 3)), ("neighbors/c", (2, 3))):
        GrowingArray(tmp_path / name).ensure(6, lambda first, axes=axes: rows(first).reshape(axes), {})
    assert verify_cached(tmp_path) == []
    file = tmp_path / "views" / "b" / "data.bin"
    content = bytearray(file.read_bytes())
    content[30] ^= 1
    file.write_bytes(content)
    (line,) = verify_cached(tmp_path)
    assert line.startswith(f"{file}: rows 2 to 3 have another SHA-256")
    assert f"delete {file.parent}" in line


def test_entries_from_before_the_checksums_serve_and_grow(tmp_path):
    entry = GrowingArray(tmp_path / "features" / "a")
    entry.ensure(2, rows, {})
    manifest = entry.directory / "manifest.json"
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items() if k != "steps"}))
    assert verify_cached(tmp_path) == []
    data, facts = entry.ensure(4, rows, {})
    assert data[:, 0].tolist() == [0, 0, 2, 2]
    assert [step["first"] for step in facts["steps"]] == [2]
    assert verify_cached(tmp_path) == []


def test_more_than_fits_on_the_disk_is_refused_before_any_of_it(tmp_path, monkeypatch):
    source = open_source(load_dataset("digits"), BackboneOptions(device="cpu"), tmp_path)
    with pytest.raises(InputError, match=r"99,999,999 views of 1,497 images need [\d,.]+ GB more, .* are free in"):
        source.views(99_999_999, 0)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"features of 1,797 images need 0\.460 MB more, 0\.001 MB"):
        source.features()
    assert not list(tmp_path.rglob("data.bin"))


def test_nan_in_cached_features_says_what_to_delete(tmp_path):
    digits = load_dataset("digits")
    open_source(digits, BackboneOptions(device="cpu"), tmp_path).features()
    (file,) = tmp_path.glob("features/*/data.bin")
    content = np.fromfile(file, np.float32)
    content[64 * 5 + 3] = np.nan
    content.tofile(file)
    source = open_source(digits, BackboneOptions(device="cpu"), tmp_path)
    with pytest.raises(InputError, match=rf"features of item 5 hold NaN.*delete {file.parent}"):
        source.features()


def test_an_entry_of_which_nothing_could_be_computed_is_not_damaged(tmp_path):
    def refused(first):
        raise InputError("the vectors cannot be compared")

    with pytest.raises(InputError, match="cannot be compared"):
        GrowingArray(tmp_path / "neighbors" / "a").ensure(5, refused, {})
    assert verify_cached(tmp_path) == []
