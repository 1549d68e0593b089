"""What portable methods and quantizers are tried on, and checksums of their codes, which it prints as a script."""

import hashlib
import sys
import warnings

import numpy as np

import hashbench
from hashbench.plugins.registry import Registry


def digits():
    images = hashbench.load_dataset("digits").images
    return (images.reshape(len(images), -1) / 255).astype(np.float32)


def relu(n=900, d=160):
    """Return features as after a ReLU, with a falling spectrum."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((n, d // 4)) * np.arange(1, d // 4 + 1) ** -0.5
    return np.maximum(hidden @ rng.standard_normal((d // 4, d)) * 0.3 - 0.2, 0).astype(np.float32)


def ties():
    """Return few different rows of whole numbers, most of them several times, columns equal or constant."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 3, (150, 24)).astype(np.float32)
    rows[:, 5], rows[:, 6] = rows[:, 4], 2
    return np.concatenate([rows[rng.integers(0, 150, 400)], np.zeros((60, 24), np.float32)])


def degenerate():
    """Return one-hot rows, each equally often: all variances are equal."""
    return np.tile(np.eye(32, dtype=np.float32), (16, 1))


SETS = {"digits": digits, "relu": relu, "ties": ties, "degenerate": degenerate}


def some_labels(X):
    """Return four classes of rows, for methods that read labels: equal rows have equal ones."""
    high = X[:, [0, len(X[0]) // 2]] > X.mean(axis=0)[[0, len(X[0]) // 2]]
    return high @ np.array([2, 1])


def portable_names(kind):
    """Return the names of the methods or quantizers that promise it."""
    return [name for name, plugin in Registry().plugins(kind).items() if plugin.load().portable]


CORES = {"Haswell": "avx2", "SkylakeX": "avx512f", "Zen": "avx2", "Sandybridge": "avx"}
"""OpenBLAS's kernels, and what a processor needs for them: without it the process dies of an illegal instruction."""


def usable_cores():
    """Return the kernels that this processor can run, and those that it cannot."""
    from numba.core.codegen import get_host_cpu_features

    has = get_host_cpu_features()
    usable = [core for core, needed in CORES.items() if f"+{needed}" in has]
    return usable, [core for core in CORES if core not in usable]


def made(kind, name, X):
    """Return a method or quantizer fitted to X, or None where it cannot be."""
    plugin = (hashbench.load_method if kind == "methods" else hashbench.load_quantizer)(name)
    params = {"n_bits": 16, "n_anchors": 50, "random_state": 0}
    params = {key: value for key, value in params.items() if key in plugin().get_params()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plugin(**params).fit(X, some_labels(X))
    except hashbench.errors.Unsupported:
        return None


def codes_of(data, names=None):
    """Return the SHA-256 of codes and learned values by name."""
    X, found = SETS[data](), {}
    for kind in ("methods", "quantizers"):
        for name in portable_names(kind):
            if names is None or name in names:
                found[f"{kind}/{name}"] = _checksum(made(kind, name, X), X)
    return found


def _checksum(fitted, X):
    if fitted is None:
        return "unsupported"
    digest = hashlib.sha256(fitted.encode(X).tobytes())
    for _, value in sorted(vars(fitted).items()):
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for plugin, digest in codes_of(name).items():
            print(name, plugin, digest)
