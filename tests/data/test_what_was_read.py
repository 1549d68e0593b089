"""What a run says of its data before it begins, and of codes that collapsed when it ends."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hashbench import load_dataset
from hashbench.data.images import EncodedImages
from hashbench.data.prepared.equal_items import equal_items
from hashbench.data.readers.parts import PARTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "what-is-read.md"


def test_the_page_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASHBENCH_CACHE", str(tmp_path / "cache"))
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(block, names)


def test_the_page_names_all_words():
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {part: tuple(words.split(", ")) for part, words in rows if part != "part"} == PARTS


# --- equal items ---------------------------------------------------------------------------------------------


def slow(items):
    """Return the pairs of equal items, by comparing all with all."""
    pairs = []
    for row in range(len(items)):
        first = next(one for one in range(row + 1) if np.array_equal(items[one], items[row]))
        pairs += [[row, first]] if first != row else []
    return pairs


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int16])
@pytest.mark.parametrize("shape", [(1,), (3,), (500,), (8, 8, 3)])
def test_equal_rows_are_those_of_a_full_comparison(dtype, shape):
    rng = np.random.default_rng(0)
    items = rng.integers(0, 3, (120, *shape)).astype(dtype)
    items[rng.integers(0, 120, 40)] = items[rng.integers(0, 120, 40)]
    assert equal_items(items).tolist() == slow(items)
    items[5] = items[3]
    items.reshape(120, -1)[5, -1] += 1
    items[7] = items[3]
    assert equal_items(items).tolist() == slow(items)


def test_rows_that_differ_between_the_samples_are_not_equal():
    items = np.zeros((4, 10_000), np.float32)
    items[1, 77], items[2, 0] = 1, -0.0
    assert equal_items(items).tolist() == [[2, 0], [3, 0]]


def test_encoded_images_are_equal_where_their_files_are():
    files = [b"a" * 200, b"b" * 200, b"a" * 199 + b"c", b"a" * 200, b"", b""]
    offsets = np.cumsum([0, *map(len, files)])
    images = EncodedImages(np.frombuffer(b"".join(files), np.uint8), offsets, np.ones((6, 2), np.int32))
    assert equal_items(images).tolist() == [[3, 0], [5, 4]]


# --- the lines -----------------------------------------------------------------------------------------------


def test_lines_on_vectors(tmp_path):
    X = np.random.default_rng(0).standard_normal((600, 6)).astype(np.float32)
    y = np.arange(600) % 3
    y[:300] = 0
    np.savez(tmp_path / "a.npz", database=X, query=X[:50], database_labels=y, query_labels=y[:50])
    for _ in range(2):  # prepared now, and found prepared
        first, second = load_dataset("vectors", data_dir=tmp_path / "a.npz", cache_dir=tmp_path / "cache").summary
        assert first == (
            "vectors: 650 items of 3 classes (smallest: 1 with 100, largest: 0 with 450): 50 queries, 600 in the "
            "database, all of it for training; database, query of .npz, labels database_labels, query_labels"
        )
        assert second == (
            "vectors: 50 items equal another one (row 600 = row 0 the first); 50 of 50 queries equal an item of the "
            "database (row 600 = row 0 the first)"
        )


def test_lines_on_data_without_labels_and_with_lists(tmp_path):
    X = np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "query.txt").write_text("0\n1\n")
    (tmp_path / "train.txt").write_text("2\n")
    (tmp_path / "database.txt").write_text("".join(f"{row}\n" for row in range(2, 202)))
    asked = {"data_dir": tmp_path / "x.npy", "cache_dir": tmp_path / "cache"}
    lines = load_dataset("vectors", **asked, splits=tmp_path).summary
    assert lines == (
        "vectors: 300 items of 6 values, without labels: 2 queries, 200 in the database, 1 for training, from the "
        "database; vectors of .npy",
        "vectors: left out: 98 items that are in no part",
    )


@pytest.mark.slow
def test_equal_items_of_two_classes_and_several_labels(tmp_path):
    X = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
    X[200:210] = X[:10]
    for labels, kind in (
        (np.arange(400) // 200, "2 classes"),
        (np.eye(2, dtype=int)[np.arange(400) // 200], "2 classes"),
        (np.array([[1, 0, 1], [0, 1, 0]])[np.arange(400) // 200], "3 labels"),
    ):
        np.savez(tmp_path / "a.npz", vectors=X, labels=labels)
        lines = load_dataset("vectors", data_dir=tmp_path / "a.npz", cache_dir=tmp_path / "cache").summary
        assert f"400 items of {kind} (smallest: 0 with 200, largest: 0 with 200)" in lines[0]
        assert "10 items equal another one, 10 of them of another class (row 200 = row 0 the first)" in lines[1]


# --- the end of a run ----------------------------------------------------------------------------------------

PLUGIN = """
import numpy as np
from hashbench import HashMethod
class Flat(HashMethod):
    def __init__(self, n_bits=32):
        self.n_bits = n_bits
    def fit(self, X, y=None):
        self.converged_ = False
        return self
    def project(self, X):
        return np.ones((len(X), self.n_bits), np.float32)
"""


def test_a_run_begins_with_what_it_read_and_ends_with_what_collapsed(tmp_path, cli):
    (tmp_path / "flat.py").write_text(PLUGIN)
    command = ("run", "--plugin", tmp_path / "flat.py", "--methods", "flat,itq", "--bits", 16, "--dataset", "digits")
    done = cli(*command, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    first = next(line for line in done.stderr.splitlines() if "hashbench:" not in line)
    line = "digits: 1,797 items of 10 classes (smallest: 8 with 174, largest: 3 with 183): 300 queries, 1,497 in the "
    assert first.startswith(line)
    assert "flat 16 bits: the database has 1 different code" in done.stdout
    assert "flat 16 bits: its training did not converge" in done.stdout
    assert "itq 16 bits seed 0: " not in done.stdout
    records = [json.loads(path.read_text()) for path in (tmp_path / "out" / "records").glob("*.json")]
    found = {record["config"]["method"]: record for record in records}
    assert (found["flat"]["n_codes"], found["flat"]["converged"]) == (1, False)
    assert found["itq"]["converged"] is None
    assert found["itq"]["n_codes"] is None or found["itq"]["n_codes"] > 16
    assert found["flat"]["read"][0].startswith(line)
