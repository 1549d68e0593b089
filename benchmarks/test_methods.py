"""Encoding and fitting by every method, compared with bare products and with faiss: ratios are the result.

Encoding is compared with the product with as many columns as bits, and with the method's own products: the float32
matrices that it multiplies rows with, one after the other, and nothing else. Networks are trained for one epoch, and
their training is not timed: leaderboards/ has it. Run with ``pytest
benchmarks/test_methods.py --benchmark-only -s``, on a machine that others use too with ``--benchmark-timer
time.process_time``; the last lines are the tables.
"""

import numpy as np
import pytest

from hashbench.plugins.registry import Registry

N_ENCODE, N_FIT, N_FEATURES, ENCODE_BITS, FIT_BITS = 50_000, 5_000, 1_280, 64, 32
NAMES = [
    name for name in Registry().names("methods") if "views" not in Registry().find("methods", name).load()().wants()
]
"""Methods that train on views are left out: they encode as the other networks do."""
SET = {"random_state": 0, "epochs": 1, "hidden1": 90, "hidden2": 80}
"""Of parameters, where a method has them; UH-BDNN lists no widths for so many bits."""
MEDIANS: dict[tuple[str, str], float] = {}
MATRICES: dict[str, list[np.ndarray]] = {}


@pytest.fixture(scope="module")
def features():
    """Return features as a network's: never negative, in clusters, of falling variance."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, N_FEATURES), dtype=np.float32)
    X = rng.standard_normal((N_ENCODE, N_FEATURES), dtype=np.float32)
    X += centres[rng.integers(0, 10, N_ENCODE)]
    X *= np.linspace(2, 0.1, N_FEATURES, dtype=np.float32)
    return np.maximum(X, 0, out=X)


def method(name, n_bits):
    made = Registry().find("methods", name).load()(n_bits=n_bits)
    return made.set_params(**{key: value for key, value in SET.items() if key in made.get_params()})


def timed(benchmark, group, name, job, rounds):
    benchmark.group = group
    benchmark.pedantic(job, rounds=rounds, warmup_rounds=1)
    MEDIANS[group, name] = benchmark.stats.stats.median


def test_bare_product(benchmark, features):
    directions = np.random.default_rng(1).standard_normal((N_FEATURES, ENCODE_BITS), dtype=np.float32)
    timed(benchmark, "encode", "bare", lambda: np.packbits(features @ directions > 0, axis=1), rounds=9)


def own_matrices(fitted):
    """Return the matrices that a method multiplies rows with where it encodes: (n_features, …), float32."""
    if hasattr(fitted, "weights1_"):
        layers = [getattr(fitted, f"weights{number}_") for number in range(1, len(fitted.activations_) + 1)]
    elif hasattr(fitted, "anchors_"):
        layers = [fitted.anchors_.T]
    elif hasattr(fitted, "centres_"):
        layers = [fitted.centres_.T]
    else:
        layers = [fitted.directions_] if hasattr(fitted, "directions_") else []
    return [np.ascontiguousarray(matrix, np.float32) for matrix in layers]


def products(X, matrices):
    for matrix in matrices:
        X = X @ matrix
    return X


@pytest.mark.parametrize("name", NAMES)
def test_encode(benchmark, features, name):
    fitted = method(name, ENCODE_BITS).fit(features[:N_FIT])
    timed(benchmark, "encode", name, lambda: fitted.encode(features), rounds=5)
    MATRICES[name] = own_matrices(fitted)


@pytest.mark.parametrize("name", NAMES)
def test_own_products(benchmark, features, name):
    if not MATRICES.get(name):
        pytest.skip(f"{name} multiplies with no matrix, or was not fitted")
    timed(benchmark, "own products", name, lambda: products(features, MATRICES[name]), rounds=9)


@pytest.mark.parametrize("name", NAMES)
def test_fit(benchmark, features, name):
    unfitted = method(name, FIT_BITS)
    if "epochs" in unfitted.get_params():
        pytest.skip(f"{name} trains for epochs")
    timed(benchmark, "fit", name, lambda: unfitted.fit(features[:N_FIT]), rounds=5)


@pytest.fixture(scope="module", autouse=True)
def ratios():
    """Print the ratios once all is timed."""
    yield
    print(f"\nencode {N_ENCODE:,} x {N_FEATURES:,} at {ENCODE_BITS} bits, by product and packbits; ", end="")
    print(f"fit {N_FIT:,} at {FIT_BITS} bits, by faiss's ITQ")
    for name in NAMES:
        encode = MEDIANS.get(("encode", name), np.nan) / MEDIANS.get(("encode", "bare"), np.nan)
        fit_s, faiss_s = MEDIANS.get(("fit", name), np.nan), MEDIANS.get(("fit", "faiss_itq"), np.nan)
        own = MEDIANS.get(("encode", name), np.nan) / MEDIANS.get(("own products", name), np.nan)
        fitted = f"fit {fit_s:7.3f} s, {fit_s / faiss_s:6.2f} of faiss_itq"
        print(f"{name:10}  encode {encode:6.2f}, {own:5.2f} of its own products  {fitted}")
