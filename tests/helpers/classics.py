"""The classic methods by name with parameters for small data, and how tests look at their bits."""

import numpy as np
import pytest

import hashbench

SMALL_GRAPH = {"n_anchors": 60}
METHODS = {
    "agh": ("agh", SMALL_GRAPH),
    "agh-2": ("agh", {"n_layers": 2, **SMALL_GRAPH}),
    "dgh": ("dgh", SMALL_GRAPH),
    "dgh-identity": ("dgh", {"init": "identity", **SMALL_GRAPH}),
    "faiss_itq": ("faiss_itq", {}),
    "faiss_lsh": ("faiss_lsh", {}),
    "faiss_lsh-median": ("faiss_lsh", {"train_thresholds": True}),
    "itq": ("itq", {}),
    "lsh": ("lsh", {}),
    "pcah": ("pcah", {}),
    "rr": ("rr", {}),
    "sh": ("sh", {}),
    "sign": ("sign", {}),
    "sph": ("sph", {}),
}
DETERMINISTIC = ("pcah", "sh", "sign")
LINEAR = ("itq", "lsh", "pcah", "rr")
VARIANTS = ("agh-2", "dgh-identity", "faiss_lsh-median")


def make(name, n_bits, seed=0, **params):
    """Return an unfitted method by its name in METHODS."""
    if name.startswith("faiss"):
        pytest.importorskip("faiss")
    plugin, defaults = METHODS[name]
    seeds = {} if plugin in DETERMINISTIC else {"random_state": seed}
    return hashbench.load_method(plugin)(n_bits=n_bits, **{**defaults, **params, **seeds})


def bits_of(method, X):
    return np.unpackbits(method.encode(X), axis=1, count=method.n_bits)


def values_of(method, X):
    """Return project's values, from blocks of the shape that encode uses."""
    padding = np.zeros((-len(X) % 1024, X.shape[1]), np.float32)
    padded = np.concatenate([X, padding])
    return np.concatenate([method.project(block) for block in np.split(padded, len(padded) // 1024)])[: len(X)]


def equal_up_to_sign(found, expected):
    """Whether each column equals the expected one, or is its complement."""
    same = found == expected
    return (same.all(axis=0) | ~same.any(axis=0)).all()
