"""What is kept of a cell, and how it is read back: through one schema, whatever a file holds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from hashbench.data.protocol import BY_BYTES
from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import is_plugin_name, is_protocol_name

FORMAT = 2
"""Raised when older versions of hashbench could misread a record."""
Status = Literal["ok", "failed", "skipped"]
STATUSES = ("ok", "failed", "skipped")
LARGEST = 2**26
"""Bytes of a record that are read."""
OWN = "own"
"""The distance of a quantizer's codes."""
GIVEN = "given"
"""Stands in the place of a backbone where the vectors came with the data."""
SMALL = 1000
"""Different codes of a database up to which they are counted."""


class UnusableRecord(Exception):
    """A file in the place of a record is none that can be used.

    Attributes
    ----------
    newer : bool
        Whether a newer version of hashbench wrote it, so that it must be left as it is.
    """

    def __init__(self, reason: str, newer: bool = False) -> None:
        super().__init__(reason)
        self.newer = newer


@dataclass
class Record:
    """What is kept of a cell.

    Attributes
    ----------
    id : str
        SHA-256 of the canonical configuration.
    config : dict
        Everything that decides the result: data, protocol, features, method, parameters, source, seed.
    status : {"ok", "failed", "skipped"}
    error : str
        Why, where the status is not ``ok``.
    metrics, timings : dict from str to float
    peak_memory_mb : float or None
    training : list of dict
        One entry per epoch where the method logs a curve.
    codes_sha256 : dict
        Checksums of the packed query and database codes.
    uses_labels : bool
    label : str
        The method as the user wrote it.
    provenance : str
        Whether the data is the publisher's or a copy.
    data_file : str
        Name of the file or folder that ``--data-dir`` gave; empty where it gave none.
    read : list of str
        What was read of the data, in a line or two.
    n_codes : int or None
        How many different codes the database has; None where they are more than `SMALL`, or nobody counted them.
    converged : bool or None
        Whether the method says that its training converged; None where it says nothing.
    portable : bool or None
        Whether the method promises the same codes on every processor; None where nobody asked.
    environment : dict
    started, date : str
        When the cell began and when it ended, ISO 8601, UTC.
    output : str
        The last lines that a cell which did not end well has printed.
    format : int
    """

    id: str
    config: dict[str, Any]
    status: Status
    error: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    training: list[dict[str, float]] = field(default_factory=list)
    codes_sha256: dict[str, str] = field(default_factory=dict)
    uses_labels: bool = False
    label: str = ""
    provenance: str = ""
    data_file: str = ""
    read: list[str] = field(default_factory=list)
    n_codes: int | None = None
    converged: bool | None = None
    portable: bool | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    date: str = ""
    output: str = ""
    format: int = FORMAT

    @property
    def backbone(self) -> str:
        """The backbone's name, or `GIVEN`."""
        return self.config["features"]["backbone"] or GIVEN

    @property
    def finished(self) -> bool:
        """Whether the cell came to its end: it ended well, or the method cannot do what was asked."""
        return self.status in ("ok", "skipped")

    @property
    def timings_are_shared(self) -> bool:
        """Whether other cells were computed beside this one, so that its timings say little about its method."""
        return self.environment.get("jobs", 1) > 1

    @property
    def title(self) -> str:
        """The cell in words."""
        seed = self.config["seed"]
        ranked = " asymmetric" if self.is_asymmetric else ""
        return f"{self.label} {self.config['n_bits']} bits" + ("" if seed is None else f" seed {seed}") + ranked

    @property
    def distance(self) -> str:
        """By what its codes are ranked: ``hamming``, ``asymmetric``, or `OWN`."""
        return self.config.get("distance", "hamming")

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return -(-self.config["n_bits"] // 8)

    @property
    def is_asymmetric(self) -> bool:
        """Whether the ranking was by real-valued queries."""
        return self.distance == "asymmetric"

    @property
    def is_by_bytes(self) -> bool:
        """Whether it is of recall for bytes."""
        return self.config["protocol"].endswith(BY_BYTES)

    @property
    def is_quantizer(self) -> bool:
        """Whether its codes have a distance of their own; they are not kept then."""
        return self.distance == OWN

    def to_json(self) -> bytes:
        """Return the record's file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False).encode()


def read_record(path: Path) -> Record:
    """Return the record in a file.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    UnusableRecord
        The file is damaged, not a record, or written by a newer version.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UnusableRecord(f"it has more than {LARGEST:,} bytes")
        values = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UnusableRecord(f"it cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(values, dict):
        raise UnusableRecord("it is no JSON object")
    version = values.get("format", 1)
    if isinstance(version, int) and version > FORMAT:
        raise UnusableRecord(f"it has format {version}, this version reads up to {FORMAT}", newer=True)
    _refuse_odd("", values, SCHEMA, REQUIRED)
    _refuse_odd("config.", values["config"], CONFIG, set(CONFIG) - {"distance"})
    _refuse_odd("environment.", values.get("environment", {}), ENVIRONMENT, set())
    if values["status"] == "ok" and not values.get("metrics"):
        raise UnusableRecord("it is ok and has no metric")
    if path.stem != values["id"] or _hash_of(values["config"]) != values["id"]:
        raise UnusableRecord("its id is not the SHA-256 of its config")
    known = {one.name for one in fields(Record)}
    return Record(**{name: value for name, value in values.items() if name in known})


Check = Callable[[Any], bool]


def _refuse_odd(prefix: str, values: Mapping[str, Any], schema: Mapping[str, Check], required: set[str]) -> None:
    for name, fits in schema.items():
        if name not in values:
            if name in required:
                raise UnusableRecord(f"it lacks {prefix}{name}")
        elif not fits(values[name]):
            raise UnusableRecord(f"its {prefix}{name} is {repr(values[name])[:60]}")


def _hash_of(config: dict[str, Any]) -> str:
    """Return the SHA-256 of a configuration; empty where it holds what JSON cannot, or is nested too deep."""
    try:
        return canonical_hash(config)
    except (ValueError, RecursionError):
        return ""


def _text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _text_or_none(value: Any) -> bool:
    return value is None or _text(value)


def _prose(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value)) and all(map(_number, value.values()))


def _scores(value: Any) -> bool:
    return _numbers(value) and all(0 <= score <= 1 for score in value.values())


def _date(value: Any) -> bool:
    return _text(value) and re.match(r"\d{4}-\d\d-\d\d", value) is not None


def _feature_key(value: Any) -> bool:
    return isinstance(value, dict) and "backbone" in value and (value["backbone"] is None or _text(value["backbone"]))


SCHEMA: dict[str, Check] = {
    "id": _hash,
    "config": lambda value: isinstance(value, dict),
    "status": lambda value: value in STATUSES,
    "error": _prose,
    "metrics": _scores,
    "timings": _numbers,
    "peak_memory_mb": lambda value: value is None or _number(value),
    "training": lambda value: isinstance(value, list) and all(map(_numbers, value)),
    "codes_sha256": lambda value: isinstance(value, dict) and all(map(_hash, value.values())),
    "uses_labels": lambda value: isinstance(value, bool),
    "label": _text,
    "provenance": _text,
    "data_file": _text,
    "read": lambda value: isinstance(value, list) and all(map(_prose, value)),
    "n_codes": lambda value: value is None or _whole(value),
    "converged": lambda value: value is None or isinstance(value, bool),
    "portable": lambda value: value is None or isinstance(value, bool),
    "environment": lambda value: isinstance(value, dict),
    "started": lambda value: value == "" or _date(value),
    "date": _date,
    "output": _prose,
    "format": _whole,
}
REQUIRED = {"id", "config", "status", "label", "date"}
CONFIG: dict[str, Check] = {
    "dataset": is_plugin_name,
    "data": _hash,
    "protocol": is_protocol_name,
    "protocol_hash": _hash,
    "features": _feature_key,
    "views": lambda value: value is None or isinstance(value, dict),
    "method": is_plugin_name,
    "params": lambda value: isinstance(value, dict),
    "source": _hash,
    "n_bits": lambda value: _whole(value) and 1 <= value <= 2**20,
    "seed": lambda value: value is None or _whole(value),
    "engine": _whole,
    "distance": lambda value: value in ("asymmetric", OWN),
}
ENVIRONMENT: dict[str, Check] = {
    "cpu": _text,
    "system": _text,
    "gpu": _text_or_none,
    "driver": _text_or_none,
    "blas": _text_or_none,
    "commit": _text_or_none,
    "dirty": lambda value: isinstance(value, bool),
    "cores": lambda value: value is None or _whole(value),
    "cores_usable": _whole,
    "memory_mb": _whole,
    "jobs": _whole,
    "thread_pools": _numbers,
    "command": _prose,
    "threads": lambda value: value is None or _whole(value),
    "versions": lambda value: isinstance(value, dict) and all(map(_text, value.values())),
}
