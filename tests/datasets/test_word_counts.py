"""Word counts in MATLAB files, as VDSH's authors have them."""

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from hashbench import InputError, load_dataset

RNG = np.random.default_rng(0)
N_TRAIN, N_TEST, N_WORDS = 30, 8, 12
COUNTS = {
    name: RNG.poisson(0.7, (n, N_WORDS)).astype(float) for name, n in (("train", N_TRAIN), ("test", N_TEST), ("cv", 5))
}
CLASSES = {f"gnd_{name}": 1 + np.arange(len(rows))[:, None] % 3 for name, rows in COUNTS.items()}
WHOLE = {**{name: sparse.csc_matrix(rows) for name, rows in COUNTS.items()}, **CLASSES}


@pytest.fixture
def load(tmp_path):
    """Return a function that writes a file and loads it."""

    def run(content, **options):
        savemat(tmp_path / "ng20.mat", content, do_compression=True)
        return load_dataset("text", data_dir=tmp_path / "ng20.mat", cache_dir=tmp_path / "cache", **options)

    return run


@pytest.mark.parametrize("dense", [False, True])
def test_counts_are_read_as_they_are(load, dense):
    data = load({**WHOLE, **(COUNTS if dense else {})})
    np.testing.assert_array_equal(data.features, np.concatenate([COUNTS["train"], COUNTS["test"]]))
    assert data.features.dtype == np.uint8
    np.testing.assert_array_equal(data.split.query, np.arange(N_TRAIN, N_TRAIN + N_TEST))
    np.testing.assert_array_equal(data.split.train, np.arange(N_TRAIN))
    np.testing.assert_array_equal(data.split.database, data.split.train)
    np.testing.assert_array_equal(data.labels, np.r_[np.arange(N_TRAIN) % 3, np.arange(N_TEST) % 3])
    assert "matrices: cv, gnd_cv" in data.summary[1]


def test_weights_and_several_labels(load):
    marks = {
        f"gnd_{name}": np.eye(3)[np.arange(n) % 3] + np.eye(3)[np.arange(n) // 3 % 3] > 0
        for name, n in (("train", N_TRAIN), ("test", N_TEST))
    }
    weights = {name: sparse.csc_matrix(WHOLE[name] * 0.25) for name in ("train", "test")}
    data = load({**WHOLE, **weights, **marks})
    assert data.features.dtype == np.float32
    np.testing.assert_array_equal(data.features[:N_TRAIN], COUNTS["train"] / 4)
    np.testing.assert_array_equal(data.labels, np.concatenate([marks["gnd_train"], marks["gnd_test"]]))


BAD = {
    "lacking": ({"gnd_test": None}, "has no gnd_test, but "),
    "width": ({"test": sparse.csc_matrix(np.ones((N_TEST, 5)))}, "train has 12 words, test 5: expected the same"),
    "labels of others": ({"gnd_test": np.ones((5, 1))}, "gnd_test is 5 × 1, test has 8 rows"),
    "transposed": ({"gnd_train": np.eye(3)[np.arange(N_TRAIN) % 3].T}, "expected 30 × labels: transpose it"),
    "negative": ({"train": sparse.csc_matrix(-COUNTS["train"])}, "; expected counts or weights of words, from 0 on"),
    "nan": ({"test": np.full((N_TEST, N_WORDS), np.nan)}, "test holds nan"),
    "empty": ({"train": np.zeros((0, N_WORDS))}, "expected texts × words"),
    "cube": ({"train": np.ones((3, 2, 4))}, "train is no matrix of real numbers"),
    "words": ({"train": "words"}, "train is no matrix of real numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_shapes(load, case):
    changed, words = BAD[case]
    content = {name: value for name, value in {**WHOLE, **changed}.items() if value is not None}
    with pytest.raises(InputError) as caught:
        load(content)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_and_another(tmp_path):
    path = tmp_path / "ng20.mat"
    savemat(path, WHOLE, do_compression=True)
    content = path.read_bytes()
    for damaged in (content[:200], content[:-20], content[:300] + bytes(40) + content[340:], b"no MATLAB file" * 20):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load_dataset("text", data_dir=path, cache_dir=tmp_path / "cache")


def test_rows_outside_of_a_sparse_matrix(load, tmp_path):
    content = {**WHOLE, "train": sparse.csc_matrix(COUNTS["train"])}
    savemat(tmp_path / "ng20.mat", content)
    written = (tmp_path / "ng20.mat").read_bytes()
    rows = content["train"].indices.astype("<i4").tobytes()
    assert written.count(rows) == 1
    (tmp_path / "ng20.mat").write_bytes(written.replace(rows, rows[:-4] + (10**6).to_bytes(4, "little")))
    with pytest.raises(InputError, match="train is damaged"):
        load_dataset("text", data_dir=tmp_path / "ng20.mat", cache_dir=tmp_path / "cache")


def test_options_of_tables(load):
    with pytest.raises(InputError, match="has matrices and no columns"):
        load(WHOLE, label_column="label")
