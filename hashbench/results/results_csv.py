"""The records of a run as one table: results.csv."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pandas as pd

from hashbench.evaluation.readings import metric_of_column
from hashbench.files.writing import as_input_error, csv_safe, table_bytes, write_atomically
from hashbench.records.record import Record
from hashbench.records.store import SHARED, Store
from hashbench.results.metric_infos import of_one_version
from hashbench.results.rows import TIMINGS
from hashbench.results.verdicts import Verdicts, group_of, verdicts

SHOWN = 16
"""Characters of a SHA-256."""
IDENTITY: dict[str, Callable[[Record], object]] = {
    "dataset": lambda record: csv_safe(record.config["dataset"]),
    "data_file": lambda record: csv_safe(record.data_file),
    "data_sha256": lambda record: record.config["data"][:SHOWN],
    "protocol": lambda record: csv_safe(record.config["protocol"]),
    "protocol_sha256": lambda record: record.config["protocol_hash"][:SHOWN],
    "backbone": lambda record: csv_safe(record.backbone),
    "features": lambda record: json.dumps(record.config["features"], sort_keys=True),
    "engine": lambda record: record.config["engine"],
    "uses_labels": lambda record: record.uses_labels,
    "origin": lambda record: record.origin,
    "tuned": lambda record: csv_safe(record.tuned),
    "method": lambda record: csv_safe(record.config["method"]),
    "source": lambda record: record.config["source"][:SHOWN],
    "params": lambda record: csv_safe(json.dumps(record.config["params"], sort_keys=True)),
    "distance": lambda record: record.distance,
    "n_bits": lambda record: record.config["n_bits"],
    "bytes": lambda record: record.n_bytes,
    "seed": lambda record: record.config["seed"],
}
"""Columns that tell rows apart, and what they read: the setting of a record, its method, code and seed."""


def results_frame(records: Iterable[Record], compared: Verdicts | None = None) -> pd.DataFrame:
    """Return one row per record: identity, status, each metric under its own name, timings.

    Parameters
    ----------
    records : iterable of Record
    compared : dict, optional
        From `verdicts`: each metric then has columns for the 95% interval of the method's
        mean over seeds and queries, ``low`` and ``high``, and for its ``verdict``, all seeds of a method alike.
    """
    records = list(records)
    frame = pd.DataFrame([_row(record, compared or {}) for record in records])
    if frame.empty:
        return frame
    scored = {name for record in records for name in record.metrics}
    metrics = [name for name in frame.columns if metric_of_column(name) in scored]
    rest = [name for name in frame.columns if name not in metrics]
    at = rest.index("error") + 1
    frame = frame[rest[:at] + metrics + rest[at:]]
    frame["seed"] = frame["seed"].astype("Int64")
    return frame.sort_values([*IDENTITY, "id"], ignore_index=True)


def _row(record: Record, compared: Verdicts) -> dict[str, object]:
    group, scores = group_of(record), dict[str, object]()
    for name, value in record.metrics.items():
        scores[name] = value
        if (group, name) in compared:
            found = compared[group, name]
            scores |= {f"{name} low": found.interval[0], f"{name} high": found.interval[1]}
            scores[f"{name} verdict"] = found.verdict
    return {
        **{name: read(record) for name, read in IDENTITY.items()},
        "status": record.status,
        "error": csv_safe(record.error),
        **scores,
        **{name: record.timings.get(name) for name in TIMINGS},
        "peak_memory_mb": record.peak_memory_mb,
        "peak_gpu_memory_mb": record.peak_gpu_memory_mb,
        "data": csv_safe(record.provenance),
        "date": record.date,
        "id": record.id,
    }


def write_results(store: Store, final: bool = True) -> None:
    """Write ``results.csv``, a row per record of the directory.

    Parameters
    ----------
    store : Store
    final : bool
        Whether the run is over, so that its methods can be compared.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    records = of_one_version(list(store))
    frame = results_frame(records, verdicts(records, store) if final else None)
    path = store.directory / "results.csv"
    with as_input_error(path, "--out"), store.lock(SHARED):
        write_atomically(path, table_bytes(frame))
