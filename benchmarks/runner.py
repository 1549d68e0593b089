"""What the runner itself costs: per cell, at the start, and what a second worker gains.

Run with ``python benchmarks/runner.py [--cifar10 DIR]``, DIR with CIFAR-10's files, whose features are made first where
the cache lacks them. Aims: at most 50 ms a cell beyond its own work, the first command in 3 s and 350 MB, and with two
workers at least 1.6 times the speed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import mean, median

from hashbench.records.store import Store
from hashbench.runs.workers.worker import THREAD_VARIABLES

LSH = ("--methods", "lsh", "--bits", "16")
TWELVE = ("--methods", "agh,itq,sph", "--bits", "32", "--seeds", "0,1,2,3")
N_CELLS = 100
REPEATS = 3


def seconds_and_mb(*options, out, threads=None):
    """Return the wall time of a run and the largest resident memory of its processes, in MB."""
    command = [sys.executable, "-m", "hashbench", "run", *options, "--out", str(out)]
    limits = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, **limits}, **quiet) as run:
        started = time.perf_counter()
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
    if run.returncode:
        sys.exit(f"{' '.join(command)}: exit code {run.returncode}")
    return seconds, usage.ru_maxrss / 1024


def overhead(folder):
    """Return ms a cell: a run of many cells less a run of one, less what the cells say that they took themselves."""
    one, _ = seconds_and_mb(*LSH, "--seeds", "0", out=folder / "one")
    out = folder / "many"
    many, _ = seconds_and_mb(*LSH, "--seeds", ",".join(map(str, range(N_CELLS + 1))), out=out)
    own = mean(record.timings["cell_s"] for record in Store(out))
    return 1000 * ((many - one) / N_CELLS - own), 1000 * own


def span(store):
    """Return the seconds from the start of a run's first cell to the end of its last."""
    records = list(store)
    first = min(datetime.fromisoformat(record.started) for record in records)
    return (max(datetime.fromisoformat(record.date) for record in records) - first).total_seconds()


def speed_up(folder, data_dir):
    """Return what twelve cells take one worker of one thread, one of all, and two: seconds in all, and of the cells."""
    data = ("--dataset", "cifar10", "--data-dir", data_dir, "--image-size", "128")
    seconds_and_mb("--methods", "lsh", *data, out=folder / "features")
    ways = (("1", 1), ("1", None), ("2", None))
    measured = []
    for number, (jobs, threads) in enumerate(ways):
        out = folder / f"way{number}"
        seconds, _ = seconds_and_mb(*TWELVE, *data, "--jobs", jobs, out=out, threads=threads)
        measured.append((seconds, span(Store(out))))
    return measured


def main():
    """Print a line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar10", help="directory with CIFAR-10's files")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds_and_mb(*LSH, out=folder / "warm")
        starts = [seconds_and_mb("--methods", "lsh,itq", out=folder / f"start{i}") for i in range(REPEATS)]
        print(f"first command: {median(s for s, _ in starts):.2f} s, {max(mb for _, mb in starts):.0f} MB", flush=True)
        costs = [overhead(folder / str(i)) for i in range(REPEATS)]
        beyond, own = (median(each) for each in zip(*costs, strict=True))
        print(f"a cell of lsh: {own:.1f} ms of its own, {beyond:.1f} ms of the run", flush=True)
        if asked.cifar10:
            single, one, two = speed_up(folder, asked.cifar10)
            print(f"twelve cells by two workers: {two[0]:.1f} s, the start left out {two[1]:.1f} s")
            for name, by in (("one thread", single), ("all threads", one)):
                shown = (f"{a:.1f} s, {a / b:.2f} times as long" for a, b in zip(by, two, strict=True))
                print(f"  by one with {name}: {'; the start left out '.join(shown)}")


if __name__ == "__main__":
    main()
