"""A kept model's codes and neighbours are those of its run, whatever number of threads is left to it."""

import hashlib

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import hashbench
from hashbench import load_dataset, load_model
from hashbench.files.cores import one_core
from hashbench.models.encode import encode_input
from hashbench.models.search import open_search
from hashbench.records.store import Store

METHOD = '''"""A method whose bits depend on the number of threads, as the last bits of a library's sums do."""
from threadpoolctl import threadpool_info
from hashbench import HashMethod


class Threaded(HashMethod):
    def __init__(self, n_bits=16):
        self.n_bits = n_bits

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def project(self, X):
        n_threads = max(pool["num_threads"] for pool in threadpool_info())
        return (X - self.mean_)[:, : self.n_bits] + n_threads / 8
'''
QUANTIZER = '''"""A quantizer whose codes and distances depend on the number of threads."""
import numpy as np
from threadpoolctl import threadpool_info
from hashbench import Quantizer


class ThreadedBytes(Quantizer):
    def __init__(self):
        pass

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        return self

    def n_bytes(self, n_features):
        return n_features

    def encode_block(self, X):
        return ((X - self.mean_) * 20 + 128 + self.n_threads).clip(0, 255).astype(np.uint8)

    def distances(self, queries, codes):
        some = codes[:, :: self.n_threads].astype(np.float32)
        return np.square(queries[:, None, :: self.n_threads] - some).sum(axis=2)

    @property
    def n_threads(self):
        return max(pool["num_threads"] for pool in threadpool_info())
'''


@pytest.fixture(autouse=True, scope="module")
def two_threads():
    """Let libraries use two threads."""
    with threadpool_limits(2):
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory, data):
    """Return a file of vectors and plugins by name, with a run's store of their models."""
    folder = tmp_path_factory.mktemp("threads")
    plugins = {"threaded": folder / "threaded.py", "threaded_bytes": folder / "threaded_bytes.py"}
    for plugin, source in zip(plugins.values(), (METHOD, QUANTIZER), strict=True):
        plugin.write_text(source)
    np.save(folder / "vectors.npy", data)
    hashbench.run(
        methods=",".join(plugins),
        bits="16",
        dataset="vectors",
        data_dir=folder / "vectors.npy",
        plugins=list(plugins.values()),
        out=folder / "out",
        save_models=True,
        in_process=True,
    )
    return folder / "vectors.npy", plugins, Store(folder / "out")


def loaded(kept, name):
    """Return a plugin's record and its model."""
    _, plugins, store = kept
    record = next(one for one in store if one.config["method"] == name)
    assert record.status == "ok", record.error
    return record, load_model(store.model_path(record), plugins.values())


@pytest.mark.parametrize("name", ["threaded", "threaded_bytes"])
def test_codes_are_those_of_the_record(kept, name):
    vectors, _, _ = kept
    record, model = loaded(kept, name)
    rows = load_dataset("vectors", data_dir=vectors).split.database
    codes = {
        "run": record.codes_sha256["database_codes"],
        "python": hashlib.sha256(model.encode(np.load(vectors)[rows]).tobytes()).hexdigest(),
        "file": hashlib.sha256(encode_input(model, vectors).codes[rows].tobytes()).hexdigest(),
    }
    assert len(set(codes.values())) == 1, codes
    assert (model.method.encode(np.load(vectors)) != model.encode(np.load(vectors))).any()


def test_real_values_are_those_of_one_thread(kept):
    vectors, _, _ = kept
    model = loaded(kept, "threaded")[1]
    with one_core():
        expected = next(iter(open_search(model, vectors, vectors, distance="asymmetric").neighbours(1000)))
    found = next(iter(open_search(model, vectors, vectors, distance="asymmetric").neighbours(1000)))
    assert (found[2] == expected[2]).all()


def test_a_quantizer_searches_with_one_thread(kept):
    vectors, _, _ = kept
    model = loaded(kept, "threaded_bytes")[1]
    with one_core():
        expected = next(iter(open_search(model, vectors, vectors).neighbours(5, 3)))
    found = next(iter(open_search(model, vectors, vectors).neighbours(5, 3)))
    assert (found[1] == expected[1]).all()
    assert (found[2] == expected[2]).all()
