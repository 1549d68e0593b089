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


def portable_names(kind):
    """Return the names of the methods or quantizers that promise it."""
    return [name for name, plugin in Registry().plugins(kind).items() if plugin.load().portable]


def codes_of(data, names=None):
    """Return the SHA-256 of codes and learned arrays by name; a method that cannot do it gives its reason."""
    X, found = SETS[data](), {}
    for kind, load in (("methods", hashbench.load_method), ("quantizers", hashbench.load_quantizer)):
        for name in portable_names(kind):
            if names is not None and name not in names:
                continue
            plugin = load(name)
            params = {"n_bits": 16, "n_anchors": 50, "random_state": 0}
            params = {key: value for key, value in params.items() if key in plugin().get_params()}
            found[f"{kind}/{name}"] = _checksum(plugin(**params), X)
    return found


def _checksum(plugin, X):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plugin.fit(X)
    except hashbench.errors.Unsupported as error:
        return str(error).partition(":")[0].replace(" ", "_")
    digest = hashlib.sha256(plugin.encode(X).tobytes())
    for _, value in sorted(vars(plugin).items()):
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for plugin, digest in codes_of(name).items():
            print(name, plugin, digest)
