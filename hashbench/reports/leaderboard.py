"""Leaderboards: records merged into one CSV per data set, and the validation of such files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hashbench.errors import InputError
from hashbench.evaluation import metrics as m
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import csv_safe, writable_directory, write_atomically
from hashbench.runs.record import Record
from hashbench.runs.results import TIMINGS

IDENTITY = (
    "protocol",
    "protocol_hash",
    "data",
    "feature_key",
    "method",
    "params",
    "n_bits",
    "source",
    "engine",
)
ORDER = ("protocol", "backbone", "feature_key", "data", "n_bits", "method", "params", "source", "engine")
FIXED = (
    "dataset",
    "protocol",
    "backbone",
    "method",
    "params",
    "n_bits",
    "n_seeds",
)
TAIL = (
    *TIMINGS,
    "uses_labels",
    "data_provenance",
    "cpu",
    "threads",
    "gpu",
    "hashbench",
    "torch",
    "numpy",
    "date",
    "engine",
    "feature_key",
    "features",
    "data",
    "protocol_hash",
    "source",
)


def publish(records: Sequence[Record], directory: Path) -> list[tuple[Path, int, list[str]]]:
    """Merge finished records into ``<directory>/<dataset>.csv``.

    A row stands for one protocol, data, feature key, method with parameters and n_bits; it replaces an older
    row of the same identity unless that one rests on more seeds. Publishing twice changes nothing.

    Parameters
    ----------
    records : sequence of Record
    directory : Path

    Returns
    -------
    list of (path, number of rows, notes)

    Raises
    ------
    InputError
        No record is finished, a leaderboard is not valid, or the directory cannot be written to.
    """
    done = [record for record in records if record.status == "ok"]
    if not done:
        raise InputError("nothing to publish: no record ended ok")
    writable_directory(directory, "--to")
    published = []
    for dataset in sorted({record.config["dataset"] for record in done}):
        path = directory / f"{dataset}.csv"
        rows = {_identity(row): row for row in read(path)} if path.is_file() else {}
        notes = []
        for row in _rows([record for record in done if record.config["dataset"] == dataset]):
            old = rows.get(_identity(row))
            if old is not None and int(old["n_seeds"]) > int(row["n_seeds"]):
                notes.append(
                    f"kept {row['method']} at {row['n_bits']} bits: {old['n_seeds']} seeds against {row['n_seeds']}"
                )
                continue
            rows[_identity(row)] = row
        write_atomically(path, _to_csv(list(rows.values())).encode())
        published.append((path, len(rows), notes))
    return published


def _identity(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in IDENTITY)


def _rows(records: Sequence[Record]) -> list[dict[str, str]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        config = {key: value for key, value in record.config.items() if key != "seed"}
        groups.setdefault(canonical_hash(config), []).append(record)
    return [_row(group) for group in groups.values()]


def _row(group: list[Record]) -> dict[str, str]:
    """Return one leaderboard row of the records of one cell over its seeds."""
    newest = max(group, key=lambda record: record.date)
    config, where = newest.config, newest.environment
    features = {"features": config["features"], "views": config["views"]}
    row: dict[str, Any] = {
        "dataset": config["dataset"],
        "protocol": config["protocol"],
        "backbone": newest.backbone,
        "method": config["method"],
        "params": json.dumps(config["params"], sort_keys=True),
        "n_bits": config["n_bits"],
        "n_seeds": len(group),
        "uses_labels": newest.uses_labels,
        "data_provenance": newest.provenance,
        "cpu": where["cpu"],
        "threads": where["threads"],
        "gpu": where["gpu"] or "",
        **{name: where["versions"].get(name, "") for name in ("hashbench", "torch", "numpy")},
        "date": newest.date[:10],
        "engine": config["engine"],
        "feature_key": canonical_hash(features)[:16],
        "features": json.dumps(features, sort_keys=True),
        "data": config["data"][:16],
        "protocol_hash": config["protocol_hash"][:16],
        "source": config["source"][:16],
    }
    for name in newest.metrics:
        values = [record.metrics[name] for record in group]
        row[name] = f"{np.mean(values):.5f}"
        row[f"{name} std"] = f"{np.std(values, ddof=1):.5f}" if len(values) > 1 else ""
    for name in TIMINGS:
        timed = [record.timings[name] for record in group if name in record.timings]
        row[name] = f"{np.median(timed):.4g}" if timed else ""
    return {key: csv_safe(str(value)) for key, value in row.items()}


def _columns(rows: Sequence[dict[str, str]]) -> list[str]:
    found = {name.removesuffix(" std") for row in rows for name in row if "@" in name}
    metrics = [column for name in sorted(found, key=_metric_order) for column in (name, f"{name} std")]
    return [*FIXED, *metrics, *TAIL]


def _metric_order(column: str) -> tuple[str, int, str]:
    kind, _, cutoff = column.partition("@")
    number = re.match(r"\d+", cutoff)
    return kind, int(number[0]) if number else 2**62, column


def _to_csv(rows: list[dict[str, str]]) -> str:
    ordered = sorted(rows, key=lambda row: tuple(int(row[n]) if n == "n_bits" else row[n] for n in ORDER))
    columns = _columns(rows)
    frame = pd.DataFrame([{name: row.get(name, "") for name in columns} for row in ordered])
    return frame.to_csv(index=False)


def read(path: Path) -> list[dict[str, str]]:
    """Return a leaderboard's rows.

    Raises
    ------
    InputError
        It is not a valid leaderboard.
    """
    problems = validate(path)
    if problems:
        raise InputError(f"{path} is not a valid leaderboard: {problems[0]}")
    with path.open(newline="", encoding="utf-8") as stream:
        return [{key: value for key, value in row.items() if value or "@" not in key} for row in csv.DictReader(stream)]


def validate(path: Path) -> list[str]:
    """Return what is wrong with a leaderboard file, one line each; empty where nothing is."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
            columns = list(reader.fieldnames or [])
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        return [f"cannot be read: {error}"]
    missing = [name for name in (*FIXED, *TAIL) if name not in columns]
    if missing:
        return [f"lacks the columns {', '.join(missing)}"]
    if not rows:
        return ["has no row"]
    problems = [
        f"line {number}: {problem}" for number, row in enumerate(rows, 2) for problem in _row_problems(row, path.stem)
    ]
    if problems:
        return problems
    seen: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, 2):
        first = seen.setdefault(_identity(row), number)
        if first != number:
            problems.append(f"line {number} repeats line {first}")
    filled = [{key: value for key, value in row.items() if value or "@" not in key} for row in rows]
    if not problems and _to_csv(filled) != path.read_text(encoding="utf-8"):
        problems.append("is not in the canonical order and form; publish again instead of editing")
    return problems


def _row_problems(row: dict[str, str], dataset: str) -> list[str]:
    problems = []
    if None in row or None in row.values():
        return ["has another number of fields than the header"]
    if row["dataset"] != dataset:
        problems.append(f"dataset is {row['dataset']!r} in {dataset}.csv")
    for name in ("n_bits", "n_seeds"):
        if not row[name].isdigit() or int(row[name]) < 1:
            problems.append(f"{name} is {row[name]!r}, expected a positive integer")
    for name in ("params", "features"):
        try:
            json.loads(row[name])
        except ValueError:
            problems.append(f"{name} is not JSON")
    for name in ("feature_key", "data", "protocol_hash", "source"):
        if not re.fullmatch(r"[0-9a-f]{16}", row[name]):
            problems.append(f"{name} is {row[name]!r}, expected 16 hex digits")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]):
        problems.append(f"date is {row['date']!r}, expected YYYY-MM-DD")
    scores = 0
    for name, value in row.items():
        if "@" in name and value:
            scores += 1
            problems += _score_problems(name, value)
    return problems if scores else [*problems, "has no metric"]


def _score_problems(name: str, value: str) -> list[str]:
    try:
        m.parse(name.removesuffix(" std"))
    except ValueError as error:
        return [str(error)]
    try:
        inside = 0 <= float(value) <= 1
    except ValueError:
        inside = False
    return [] if inside else [f"{name} is {value!r}, expected a number from 0 to 1"]
