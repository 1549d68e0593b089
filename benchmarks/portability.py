"""Compares codes of portable methods and quantizers between OpenBLAS's kernels, with one and two threads.

Each pair runs in a separate process, on digits, on 5,000 × 1,280 features as after a ReLU, on ties and on a
degenerate spectrum. Prints a line a method: equal, or the first place that differs. Kernels that the processor lacks
are named and left out. About ten minutes on two cores.

    python benchmarks/portability.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from portable_data import SETS, made, portable_names, relu, usable_cores

SETS["features"] = lambda: relu(5000, 1280)
DATA = ("digits", "features", "ties", "degenerate")


def write_codes(file: str) -> None:
    """Write the codes of everything portable on all data."""
    found = {}
    for data in DATA:
        X = SETS[data]()
        for kind in ("methods", "quantizers"):
            for name in portable_names(kind):
                fitted = made(kind, name, X)
                if fitted is not None:
                    found[f"{name} {data}"] = fitted.encode(X)
    np.savez(file, **found)


def main() -> None:
    """Print the table."""
    usable, lacking = usable_cores()
    print(f"compared: {', '.join(usable)}, 1 and 2 threads; not for this processor: {', '.join(lacking) or 'none'}")
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for core in usable:
            for threads in ("1", "2"):
                file = f"{folder}/{core}{threads}.npz"
                environment = {**os.environ, "OPENBLAS_CORETYPE": core}
                environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
                subprocess.run([sys.executable, __file__, file], env=environment, check=True)
                with np.load(file) as arrays:
                    results[f"{core}, {threads}"] = dict(arrays)
    (first, expected), *others = results.items()
    for name, codes in expected.items():
        differ = [(other, np.argwhere(found[name] != codes)) for other, found in others]
        places = [f"{other}: {len(at)} bytes, first row {at[0][0]}, byte {at[0][1]}" for other, at in differ if len(at)]
        print(f"{name:24s} {'; '.join(places) or f'equal to {first} in all {len(others)} others'}")


if __name__ == "__main__":
    write_codes(sys.argv[1]) if len(sys.argv) > 1 else main()
