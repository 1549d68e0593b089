"""Cells that pretend to compute on a mocked GPU, well or not."""

import sys
from types import SimpleNamespace

import pytest

import hashbench
from hashbench.records.store import Store
from hashbench.runs.workers.worker import Worker

METHOD = """
import sys
from hashbench import HashMethod


class {name}(HashMethod):
    '''Pretends to compute on the mocked GPU, as its parameter says.'''

    def __init__(self, n_bits=8, how: str = "well"):
        self.n_bits = n_bits
        self.how = how

    def fit(self, X, y=None{extras}):
        sys.modules["pretended"].works(self.how)
        return self

    def project(self, X):
        return X[:, 20 : 20 + self.n_bits] - 0.5
"""

TRAINED = """
import numpy as np
from hashbench.learning.deep import DeepMethod


class Trained(DeepMethod):
    '''Pretends to train.'''

    def network(self, n_features):
        raise NotImplementedError

    def fit(self, X, y=None, *, device, devices):
        self.weights1_ = np.eye(X.shape[1], self.n_bits, -20, np.float32)
        self.bias1_, self.activations_ = np.full(self.n_bits, -0.5, np.float32), ["identity"]
        return self
"""


@pytest.fixture
def gpu_methods(tmp_path, cuda, monkeypatch):
    """Return a folder with a method that asks for devices and one that does not."""

    def works(how):
        if how == "well":
            return
        cuda.init()
        cuda.peak = cuda.allocated + 300 * 2**20
        cuda.allocated += 2**20
        if how == "breaks":
            cuda.broken = True
            raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setitem(sys.modules, "pretended", SimpleNamespace(works=works))
    monkeypatch.setattr("hashbench.runs.training._warm_up", lambda device: None)
    (tmp_path / "on_device.py").write_text(METHOD.format(name="OnDevice", extras=", *, device, devices"))
    (tmp_path / "on_cpu.py").write_text(METHOD.format(name="OnCpu", extras=""))
    return tmp_path


def only_record(folder, method, **options):
    """Return the record of a run of one cell."""
    files = [folder / "on_device.py", folder / "on_cpu.py"]
    hashbench.run(methods=method, bits=[8], plugins=files, out=folder / method, in_process=True, **options)
    (record,) = Store(folder / method)
    return record


class Answering(Worker):
    """A worker whose process is none, and whose replies are given."""

    def __init__(self, *replies):
        super().__init__(log=lambda line: self.lines.append(line))
        self.replies, self.lines, self.n_closed, self.n_started = list(replies), [], 0, 0

    def start(self):
        if self._process is None:
            self.n_started += 1
            self._process, self._requests = object(), SimpleNamespace(send=lambda request: None)

    def _wait(self, timeout, max_memory, *kinds):
        if kinds == ("ready",):
            return "ready", None
        kind, value, left = self.replies.pop(0)
        return kind, (self._asked, value, left)

    def close(self):
        self.n_closed += self._process is not None
        self._process, self._left = None, []
