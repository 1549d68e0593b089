"""The records of a run as one table: results.csv."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from hashbench.files.writing import csv_safe, write_atomically
from hashbench.runs.records import Record, Store


def write_results(store: Store) -> None:
    """Write ``results.csv``, a row per record of the directory."""
    frame: pd.DataFrame = results_frame(list(store))
    write_atomically(store.directory / "results.csv", frame.to_csv(index=False).encode())


TIMINGS = (
    "features_s",
    "views_s",
    "fit_s",
    "encode_items_per_s",
    "encode_images_per_s",
    "search_queries_per_s",
)


def results_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per record: identity, status, each metric under its own name, timings."""
    rows = [
        {
            "dataset": record.config["dataset"],
            "protocol": record.config["protocol"],
            "backbone": record.backbone,
            "method": record.config["method"],
            "params": json.dumps(record.config["params"], sort_keys=True),
            "n_bits": record.config["n_bits"],
            "seed": record.config["seed"],
            "status": record.status,
            "error": csv_safe(record.error),
            **record.metrics,
            **{name: record.timings.get(name) for name in TIMINGS},
            "peak_memory_mb": record.peak_memory_mb,
            "data": record.provenance,
            "date": record.date,
            "id": record.id,
        }
        for record in records
    ]
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    metrics = [name for name in frame.columns if "@" in name]
    rest = [name for name in frame.columns if name not in metrics]
    at = rest.index("error") + 1
    frame = frame[rest[:at] + metrics + rest[at:]]
    frame["seed"] = frame["seed"].astype("Int64")
    return frame.sort_values(["dataset", "protocol", "method", "params", "n_bits", "seed", "id"], ignore_index=True)
