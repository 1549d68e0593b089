"""Scores 10,000 queries against databases of up to 10 million codes on disk: time per item, anonymous memory.

Run with ``python benchmarks/scale.py``; it needs 80 MB of disk in the temporary directory.
"""

import functools
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from hashbench import evaluate

N_QUERIES, N_BITS = 10_000, 64
SIZES = (50_000, 500_000, 10_000_000)


def anonymous_mb():
    """Return the anonymous memory of this process in MB: what it allocated, without file pages (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def peak_during(job):
    """Run a job and return the peak of `anonymous_mb`, sampled every 5 ms."""
    peak, done = [anonymous_mb()], threading.Event()

    def watch():
        while not done.wait(0.005):
            peak.append(anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    job()
    done.set()
    watcher.join()
    return max(peak)


def main():
    """Print a line per database size."""
    rng = np.random.default_rng(0)
    query = rng.integers(0, 256, (N_QUERIES, N_BITS // 8), dtype=np.uint8)
    own = rng.integers(0, 10, N_QUERIES)
    with tempfile.TemporaryDirectory() as folder:
        codes = np.lib.format.open_memmap(f"{folder}/codes.npy", "w+", np.uint8, (max(SIZES), N_BITS // 8))
        for start in range(0, len(codes), 10**6):
            codes[start : start + 10**6] = rng.integers(0, 256, codes[start : start + 10**6].shape, dtype=np.uint8)
        codes.flush()
        database = np.load(f"{folder}/codes.npy", mmap_mode="r")
        labels = rng.integers(0, 10, max(SIZES))
        evaluate(query[:64], database[:1000], own[:64], labels[:1000])
        for size in SIZES:
            job = functools.partial(evaluate, query, database[:size], own, labels[:size])
            times = []
            for _ in range(7 if size < 10**6 else 1):
                started = time.perf_counter()
                job()
                times.append(time.perf_counter() - started)
            seconds, memory = float(np.median(times)), peak_during(job)
            rate = N_QUERIES * size / seconds
            print(f"{size:>10,} items  {seconds:7.2f} s  {rate:.2e} pairs/s  peak anonymous memory {memory:.0f} MB")


if __name__ == "__main__":
    main()
