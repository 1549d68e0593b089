"""Bundles to damage: their files as a dictionary, written back with true checksums or with those that they had."""

import hashlib
import io
import json
import zipfile

import numpy as np

from hashbench.files.hashing import canonical_hash

MANIFEST = "manifest.json"


def contents_of(path):
    """Return the files of a zip archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents, true_checksums=True):
    """Write files as a zip archive, by default with a manifest that names them as they are."""
    if true_checksums:
        manifest = json.loads(contents[MANIFEST])
        files = {name: content for name, content in contents.items() if name != MANIFEST}
        manifest["files"] = {name: {"sha256": hashlib.sha256(files[name]).hexdigest()} for name in files}
        contents = {**files, MANIFEST: json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def arrays_in(content):
    """Return the arrays of a .npz file's bytes."""
    with np.load(io.BytesIO(content)) as file:
        return dict(file)


def as_npz(arrays, save=np.savez):
    """Return arrays as the bytes of a .npz file."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def edit_records(contents, change, wanted=lambda values: True):
    """Change the records for which ``wanted`` is true; ids and names follow their configurations."""
    for name in [name for name in contents if name.startswith("records/") and name.endswith(".json")]:
        values = json.loads(contents[name])
        if not wanted(values):
            continue
        arrays = contents.pop(f"records/{values['id']}.npz")
        del contents[name]
        change(values)
        values["id"] = canonical_hash(values["config"])
        contents[f"records/{values['id']}.json"] = json.dumps(values).encode()
        contents[f"records/{values['id']}.npz"] = arrays


def edit_arrays(contents, change, wanted, true_checksums=True):
    """Change the arrays of the first record for which ``wanted`` is true, and what it says of its codes with them."""
    records = (json.loads(content) for name, content in sorted(contents.items()) if name.endswith(".json"))
    record = next(values for values in records if "config" in values and wanted(values))
    name = f"records/{record['id']}.npz"
    arrays = arrays_in(contents[name])
    change(arrays)
    contents[name] = as_npz(arrays)
    if true_checksums:
        for codes in ("query_codes", "database_codes"):
            record["codes_sha256"][codes] = hashlib.sha256(arrays[codes].tobytes()).hexdigest()
        contents[f"records/{record['id']}.json"] = json.dumps(record).encode()
