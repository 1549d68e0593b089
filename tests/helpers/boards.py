"""Copies of a run to damage, and leaderboards to read."""

import csv
import hashlib
import json
import shutil

import numpy as np

from hashbench.files.hashing import canonical_hash
from hashbench.records.store import Store


def rows_of(path):
    """Return a leaderboard's rows."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def part_of(run, to, wanted):
    """Return the store of a copy of a run that holds only the records for which ``wanted`` is true."""
    shutil.copytree(run, to)
    for record in Store(run):
        if not wanted(record):
            (to / "records" / f"{record.id}.json").unlink()
    return Store(to)


def first_of(store, method):
    """Return the first record of a method."""
    return next(record for record in store if record.config["method"] == method)


def edit_record(store, record, change):
    """Change the JSON of a record by ``change(values)``; its id and its files follow its configuration."""
    path = store.folder / f"{record.id}.json"
    values = json.loads(path.read_text())
    change(values)
    values["id"] = canonical_hash(values["config"])
    new = store.folder / f"{values['id']}.json"
    arrays = store.arrays_path(record.id).read_bytes()
    path.unlink()
    store.arrays_path(record.id).unlink()
    store.arrays_path(values["id"]).write_bytes(arrays)
    new.write_text(json.dumps(values))
    return new


def edit_arrays(store, record, change, true_checksums=True):
    """Change a record's arrays by ``change(arrays)``, and what the record says of its codes with them."""
    path = store.arrays_path(record.id)
    arrays = dict(store.arrays(record.id))
    change(arrays)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    if true_checksums:
        sums = {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in ("query_codes", "database_codes")}
        edit_record(store, record, lambda values: values["codes_sha256"].update(sums))


def snapshot(directory):
    """Return the contents of a folder's files, locks apart."""
    files = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
