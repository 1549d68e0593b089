"""Fits every method on 100,000 vectors and encodes a million, all on disk: seconds, and peak anonymous memory.

Run with ``python benchmarks/memory.py``; it needs 5.2 GB of disk in the temporary directory.
"""

import tempfile
import time

import numpy as np
from scale import peak_during

from hashbench.plugins.registry import Registry

N_FIT, N_ENCODE, N_FEATURES, N_BITS = 100_000, 1_000_000, 1_280, 64


def write_features(file):
    """Write features of ten clusters, of falling variance, never negative, and return them memory-mapped."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, N_FEATURES), dtype=np.float32)
    scale = np.linspace(2, 0.1, N_FEATURES, dtype=np.float32)
    data = np.lib.format.open_memmap(file, "w+", np.float32, (N_ENCODE, N_FEATURES))
    for start in range(0, N_ENCODE, 10_000):
        block = rng.standard_normal((10_000, N_FEATURES), dtype=np.float32) + centres[rng.integers(0, 10, 10_000)]
        data[start : start + 10_000] = np.maximum(block * scale, 0)
    data.flush()
    return np.load(file, mmap_mode="r")


def seconds_and_peak(job):
    """Return what a job took and the peak of anonymous memory in MB while it ran."""
    started = time.perf_counter()
    peak = peak_during(job)
    return time.perf_counter() - started, peak


def main():
    """Print a line per method."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_features(f"{folder}/features.npy")
        for name in sorted(set(Registry().names("methods")) - {"cibhash"}):
            method = Registry().find("methods", name).load()(n_bits=N_BITS)
            if "random_state" in method.get_params():
                method.set_params(random_state=0)
            fit_s, fit_mb = seconds_and_peak(lambda method=method: method.fit(data[:N_FIT]))
            encode_s, encode_mb = seconds_and_peak(lambda method=method: method.encode(data))
            print(
                f"{name:10}  fit {fit_s:6.1f} s, {fit_mb:5.0f} MB  encode {encode_s:6.1f} s, {encode_mb:5.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
