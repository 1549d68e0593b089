"""Makes a bundle of a run: the records that ended well, their codes, their labels' checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashbench.errors import InputError
from hashbench.files.writing import writable_file
from hashbench.reports.bundles.archive import write_bundle
from hashbench.reports.bundles.labels import relevance_sha256
from hashbench.runs.records.record import Record
from hashbench.runs.records.store import Store


def bundle(store: Store, path: Path, with_labels: bool = False) -> int:
    """Write a run's records and codes as one file that `recompute` scores again.

    Models, checkpoints and records of failed cells stay out. What is relevant to what is not ours to pass on: the
    bundle holds its checksum, and whoever scores it again loads the data; with labels, also where the data is not.

    Parameters
    ----------
    store : Store
    path : Path
        A name that ends in ``.zip``; what lay there is replaced.
    with_labels : bool
        Put the labels, or true neighbours, in.

    Returns
    -------
    int
        How many records it holds.

    Raises
    ------
    InputError
        No record ended well, arrays or labels are missing or damaged, or the file cannot be written.
    """
    writable_file(path, "-o", ".zip", [])
    records = [record for record in store if record.status == "ok"]
    if not records:
        raise InputError(f"{store.directory} holds no record that ended well: there are no codes to bundle")
    files: dict[str, bytes] = {}
    for record in records:
        store.arrays(record.id)  # which raises where they are damaged
        for file in (store.folder / f"{record.id}.json", store.arrays_path(record.id)):
            files[f"records/{file.name}"] = file.read_bytes()
    of_data = {record.config["data"]: record for record in records}
    labels = {data: _facts(store, record) for data, record in of_data.items()}
    if with_labels:
        for data in of_data:
            file = store.labels_path(data)
            files[f"labels/{file.name}"] = file.read_bytes()
    write_bundle(path, files, labels)
    return len(records)


def _facts(store: Store, record: Record) -> dict[str, Any]:
    config = record.config
    checksum = relevance_sha256(store.relevance(config["data"]))
    return {"dataset": config["dataset"], "protocol": config["protocol"], "sha256": checksum}
