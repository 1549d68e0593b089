"""Binarises vectors from a float16 file on disk, from loading to codes: time per vector, peak anonymous memory.

Run with ``python benchmarks/from_disk.py [ROWS ...]``; by default 100,000, a million and ten million vectors of 128
values. It needs 3 GB of disk in the temporary directory for ten million.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scale import peak_during

from hashbench import LoadOptions
from hashbench.data.loading import load_items
from hashbench.plugins.registry import Registry
from hashbench.runs.measures import ENCODE_ROWS
from hashbench.runs.training import rows_of

SIZES, WIDTH, N_BITS, N_CLUSTERS, METHODS = (10**5, 10**6, 10**7), 128, 64, 1000, ("itq", "lsh")


def write_vectors(file, n_rows):
    """Write clustered vectors as a .f16bin file, block by block."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_CLUSTERS, WIDTH), dtype=np.float32)
    with file.open("wb") as stream:
        stream.write(np.array([n_rows, WIDTH], "<u4").tobytes())
        for start in range(0, n_rows, 50_000):
            n = min(50_000, n_rows - start)
            block = rng.standard_normal((n, WIDTH), dtype=np.float32) + centres[rng.integers(0, N_CLUSTERS, n)]
            stream.write(block.astype("<f2").tobytes())


def measured(what, n_rows, job):
    """Run a job and print its time, in all and per vector, and its peak of anonymous memory."""
    results = []
    started, cpu_started = time.perf_counter(), time.process_time()
    peak = peak_during(lambda: results.append(job()))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    per_vector = f"{cpu / n_rows * 1e6:8.3f} µs of CPU per vector"
    print(
        f"{n_rows:>10,} {what:12} {seconds:8.2f} s, {cpu:8.2f} s of CPU, {per_vector}, peak {peak:5.0f} MB", flush=True
    )
    return results[0]


def codes_of(method, vectors, rows):
    """Return the codes of some rows, as a run makes them."""
    starts = range(0, len(rows), ENCODE_ROWS)
    return np.concatenate([method.encode(rows_of(vectors, rows[at : at + ENCODE_ROWS])) for at in starts])


def main():
    """Print a line per size and step."""
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    for n_rows in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            file = folder / "vectors.f16bin"
            write_vectors(file, n_rows)
            vectors, options = Registry().find("datasets", "vectors").load()(), LoadOptions(file, folder / "cache")
            items = measured("prepare", n_rows, lambda asked=(vectors, options): load_items(*asked))
            split = vectors.split(items, vectors.protocols[0])
            for name in METHODS:
                method = Registry().find("methods", name).load()(n_bits=N_BITS, random_state=0)
                train = rows_of(items.features, split.train)
                measured(f"{name} fit", n_rows, lambda method=method, train=train: method.fit(train))
                asked = (method, items.features, split.database)
                measured(f"{name} encode", n_rows, lambda asked=asked: codes_of(*asked))
            asked = (items, split, options)
            measured("neighbours", n_rows, lambda vectors=vectors, asked=asked: vectors.neighbors(*asked))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory, pages of files included: {resident:.0f} MB")


if __name__ == "__main__":
    main()
