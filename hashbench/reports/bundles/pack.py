"""Makes a bundle of a run: the records that ended well, their codes, their labels' checksums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashbench.errors import InputError
from hashbench.files.writing import writable_file
from hashbench.progress import to_stderr
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.bundles.archive import write_bundle
from hashbench.reports.bundles.labels import relevance_sha256


def bundle(store: Store, path: Path, with_labels: bool = False, log: Callable[[str], object] = to_stderr) -> int:
    """Write a run's records and codes as one file that `recompute` scores again.

    Models, checkpoints and records of failed cells stay out, and so do those of quantizers, whose codes no run keeps.
    What is relevant to what is not ours to pass on: the bundle holds its checksum, and scoring it again loads
    the data; with labels, also where the data is not.

    Parameters
    ----------
    store : Store
    path : Path
        A name that ends in ``.zip``; what lay there is replaced.
    with_labels : bool
        Put the labels, or true neighbours, in.
    log : callable
        Called with a line for records that are left out.

    Returns
    -------
    int
        How many records it holds.

    Raises
    ------
    InputError
        No record ended well and has codes, arrays or labels are missing or damaged, or the file cannot be written.
    """
    writable_file(path, "-o", ".zip", [])
    records = _with_codes(store, log)
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


def _with_codes(store: Store, log: Callable[[str], object]) -> list[Record]:
    ended_well = [record for record in store if record.status == "ok"]
    records = [record for record in ended_well if not record.is_quantizer]
    n_left_out = len(ended_well) - len(records)
    if not records:
        what = "records of quantizers only, whose codes are not kept" if n_left_out else "no record that ended well"
        raise InputError(f"{store.directory} holds {what}: there are no codes to bundle")
    if n_left_out:
        log(f"left out, records: {n_left_out}: of quantizers, whose codes are not kept to be scored again")
    return records


def _facts(store: Store, record: Record) -> dict[str, Any]:
    config = record.config
    checksum = relevance_sha256(store.relevance(config["data"]))
    return {"dataset": config["dataset"], "protocol": config["protocol"], "sha256": checksum}
