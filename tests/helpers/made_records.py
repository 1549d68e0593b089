"""Records that no run has made, valid ones."""

import re

from hashbench.files.hashing import canonical_hash
from hashbench.records.record import Record


def made_record(label, n_bits=16, seed=None, params=None, dataset="toy", **values):
    """Return a record that ended well; ``values`` are fields of it, or of its configuration."""
    config = {
        "dataset": dataset,
        "data": canonical_hash(dataset),
        "protocol": f"{dataset}/1",
        "protocol_hash": canonical_hash([dataset]),
        "features": {"backbone": "pixels"},
        "views": None,
        "method": re.sub(r"[^A-Za-z0-9_]", "_", label.partition("[")[0])[:60],
        "params": params or {},
        "source": "5eed" * 16,
        "n_bits": n_bits,
        "seed": seed,
        "engine": 1,
    }
    config |= {key: values.pop(key) for key in config.keys() & values.keys()}
    values = {"status": "ok", "provenance": "official", "date": "2026-01-01T00:00:00+00:00", **values}
    return Record(canonical_hash(config), config, label=label, **values)
