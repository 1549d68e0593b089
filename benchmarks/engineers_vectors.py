"""Make the two files of vectors that docs/engineers.md measures next to WordNet's: CIFAR-10's features, and clusters.

    python benchmarks/engineers_vectors.py --out vectors --cifar10 DIR --clusters 1000000
    hashbench run --dataset vectors --data-dir vectors/cifar10.hdf5 --methods engineers --bits 256,640,1280 \\
        --distance hamming,asymmetric
    hashbench run --dataset vectors --data-dir vectors/clusters.hdf5 --methods engineers --bits 256,768,1280 \\
        --distance hamming,asymmetric

Both are in ann-benchmarks' HDF5 format. cifar10.hdf5: the bundled backbone's features of the 50,000 training images
(``train``) and the 10,000 test images (``test``), float32. clusters.hdf5: vectors of 768 dimensions and of length 1,
float16, and 1,000 queries of the same kind: a random centre each, one for a hundred vectors, and around it normal noise
whose standard deviation along the j-th of 768 random orthogonal directions is proportional to j ** -0.5, as spectra of
embeddings fall off.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from scipy.stats import ortho_group

WIDTH, QUERIES, PER_CENTRE, BLOCK = 768, 1000, 100, 50_000


def features(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of CIFAR-10's training and test images, extracted once and cached."""
    from hashbench.data.loading import load
    from hashbench.features.opening import open_source
    from hashbench.files.cache import cache_directory
    from hashbench.plugins.registry import Registry
    from hashbench.runs.requested.options import RunOptions

    options = RunOptions(data_dir=data_dir)
    dataset = load(Registry().find("datasets", "cifar10").load()(), options)
    data = open_source(dataset, options, cache_directory(None)).features().data
    return data[:50_000], data[50_000:]


def write_clusters(path: Path, n: int) -> None:
    """Write n clustered vectors and their queries, block by block."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((max(1, n // PER_CENTRE), WIDTH), dtype=np.float32)
    directions = ortho_group.rvs(WIDTH, random_state=0).astype(np.float32)
    noise = directions * np.arange(1, WIDTH + 1, dtype=np.float32)[:, None] ** -0.5
    noise *= np.sqrt(WIDTH / np.square(noise).sum())  # as long as a centre, on average

    def block(rows: int) -> np.ndarray:
        vectors = centres[rng.integers(0, len(centres), rows)]
        vectors += rng.standard_normal((rows, WIDTH), dtype=np.float32) @ noise
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)

    with h5py.File(path, "w") as file:
        train = file.create_dataset("train", (n, WIDTH), np.float16)
        for first in range(0, n, BLOCK):
            rows = min(BLOCK, n - first)
            train[first : first + rows] = block(rows)
        file["test"] = block(QUERIES)


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, help="directory with CIFAR-10's files")
    parser.add_argument("--clusters", type=int, help="how many clustered vectors")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.cifar10:
        train, test = features(options.cifar10)
        with h5py.File(options.out / "cifar10.hdf5", "w") as file:
            file["train"], file["test"] = train, test
    if options.clusters:
        write_clusters(options.out / "clusters.hdf5", options.clusters)


if __name__ == "__main__":
    main()
