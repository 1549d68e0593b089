"""A record's digits do not depend on how many threads a cell may use."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PLUGIN = """
import numpy as np
from threadpoolctl import threadpool_info
from hashbench import HashMethod

class Threads(HashMethod):
    '''Bits that tell how many threads fit and encoding may use.'''
    paper = "none"
    def __init__(self, n_bits=8):
        self.n_bits = n_bits
    def fit(self, X, y=None):
        self.seen_ = most()
        return self
    def project(self, X):
        bits = np.unpackbits(np.array([self.seen_, most()], np.uint8))[-self.n_bits:]
        return np.tile(bits - 0.5, (len(X), 1)) * (1 + self.seen_)

def most():
    return max(pool["num_threads"] for pool in threadpool_info())
"""
QUANTIZER = """
import numpy as np
from threadpoolctl import threadpool_info
from hashbench import Quantizer

class Threads(Quantizer):
    '''Codes whose distances are 0 while one thread may be used.'''
    paper = "none"
    def n_bytes(self, n_features):
        return 1
    def fit(self, X):
        self.seen_ = most()
        return self
    def encode_block(self, X):
        return np.full((len(X), 1), max(self.seen_, most()), np.uint8)
    def distances(self, queries, codes):
        if max(codes.max(), most()) > 1:
            raise RuntimeError("several threads")
        return np.zeros((len(queries), len(codes)), np.float32)

def most():
    return max(pool["num_threads"] for pool in threadpool_info())
"""


@pytest.mark.slow
@pytest.mark.parametrize("portable", [False, True])
def test_only_what_is_portable_gets_several_threads(tmp_path, portable):
    (tmp_path / "threads.py").write_text(PLUGIN.replace('"none"', f'"none"\n    portable = {portable}'))
    codes = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        command = ["run", "--plugin", "threads.py", "--methods", "threads", "--backbone", "pixels", "--bits", "8"]
        done = subprocess.run(
            [sys.executable, "-m", "hashbench", *command, "--in-process", "--out", threads],
            cwd=tmp_path, env={**os.environ, **dict.fromkeys(names, threads)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        records = [
            json.loads(file.read_text()) for file in (tmp_path / threads).rglob("*.json") if len(file.stem) == 64
        ]
        codes |= {record["codes_sha256"]["database_codes"] for record in records}
    assert len(codes) == (2 if portable else 1)


@pytest.mark.slow
def test_quantizers_are_trained_and_searched_with_one_thread(tmp_path):
    (tmp_path / "threads.py").write_text(QUANTIZER)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    command = ["run", "--plugin", "threads.py", "--methods", "threads", "--dataset", "vectors", "--data-dir", "v.npy"]
    done = subprocess.run(
        [sys.executable, "-m", "hashbench", *command, "--in-process", "--out", "out"],
        cwd=tmp_path, env={**os.environ, **dict.fromkeys(names, "2")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
