"""Vectors written as the kinds of files that users have."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def labelled_clusters():
    """Return 400 database vectors, 40 queries and 60 training vectors in five clusters, with their classes."""
    rng = np.random.default_rng(0)
    label = rng.integers(5, size=500)
    X = (2 * rng.standard_normal((5, 12)))[label] + rng.standard_normal((500, 12))
    return X.astype(np.float32), label


def save_table(path, vectors, **columns):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(pa.table({"vector": column, **columns}), path, row_group_size=64)


def save(kind, path, **arrays):
    """Write arrays by their names and return what --data-dir takes."""
    if kind == "npy":
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
        return path
    if kind.endswith("npz"):
        path = path.with_suffix(".npz")
        (np.savez_compressed if kind.startswith("compressed") else np.savez)(path, **arrays)
        return path
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        path = path.with_suffix(".hdf5")
        names = {"database": "train", "query": "test"}
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[names.get(name, name)] = array
        return path
    parts = {name: array for name, array in arrays.items() if name in ("database", "query", "learn")}
    labels = {name: arrays[f"{name}_labels"] for name in parts if f"{name}_labels" in arrays}
    if kind == "parquet folder":
        path.mkdir()
        for name, array in parts.items():
            column = {"label": pa.array(list(labels[name]))} if labels else {}
            pd_table = pa.table({"embedding": pa.array(list(array)), **column})
            pq.write_table(pd_table, path / f"{name}.parquet")
        return path
    path = path.with_suffix(".parquet")
    part = np.concatenate([[name] * len(array) for name, array in parts.items()])
    order = np.argsort(np.random.default_rng(0).random(len(part)))
    for name in parts:  # parts are mixed, each in its own order
        order[part[order] == name] = np.sort(order[part[order] == name])
    columns = {"part": pa.array(part[order])}
    if labels:
        columns["label"] = pa.array(list(np.concatenate(list(labels.values()))[order]))
    save_table(path, np.concatenate(list(parts.values()))[order], **columns)
    return path
