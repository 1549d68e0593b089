"""Records on disk: one JSON file per cell, written whole, with its arrays beside it."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hashbench.errors import InputError
from hashbench.files.writing import writable_directory, write_atomically

RELEVANCE = {"query_labels": "query", "database_labels": "database", "neighbors": "neighbors"}
"""Names of `evaluate`'s arguments in a file of labels."""
Status = Literal["ok", "failed", "skipped", "timeout"]


@dataclass
class Record:
    """What is kept of a cell.

    Attributes
    ----------
    id : str
        SHA-256 of the canonical configuration.
    config : dict
        Everything that decides the result: data, protocol, features, method, parameters, source, seed.
    status : {"ok", "failed", "skipped", "timeout"}
    error : str
        Why, where the status is not ``ok``.
    metrics, timings : dict from str to float
    training : list of dict
        One entry per epoch where the method logs a curve.
    codes_sha256 : dict
        Checksums of the packed query and database codes.
    provenance : str
        Whether the data is the publisher's or a copy.
    environment : dict
    date : str
        ISO 8601, UTC.
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
    environment: dict[str, Any] = field(default_factory=dict)
    date: str = ""

    @property
    def backbone(self) -> str:
        """The backbone's name, or ``given`` where the vectors came with the data."""
        return self.config["features"]["backbone"] or "given"

    @property
    def finished(self) -> bool:
        """Whether running the cell again could not change the record."""
        return self.status in ("ok", "skipped")


class Store:
    """The records of an output directory.

    Parameters
    ----------
    directory : Path
        Holds ``records/<id>.json`` and ``records/<id>.npz``, per data set ``labels/<fingerprint[:32]>.npz``,
        and ``models/<id>.safetensors`` where a run keeps its models.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.folder = directory / "records"
        self.models = directory / "models"

    def open_for_writing(self) -> None:
        """Make sure that records can be written.

        Raises
        ------
        InputError
            They cannot.
        """
        writable_directory(self.folder, "--out")

    def read(self, id: str) -> Record | None:
        """Return a record, or None where there is none or it is not whole."""
        try:
            record = Record(**json.loads((self.folder / f"{id}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        if record.status == "ok" and not self.arrays_path(id).is_file():
            return None
        return record

    def write(self, record: Record, arrays: dict[str, np.ndarray] | None = None) -> None:
        """Write a record, its arrays first: the JSON file's presence says that both are whole."""
        try:
            if arrays:
                buffer = io.BytesIO()
                np.savez(buffer, **arrays)  # type: ignore[arg-type]
                write_atomically(self.arrays_path(record.id), buffer.getvalue())
            text = json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False)
            write_atomically(self.folder / f"{record.id}.json", text.encode())
        except OSError as error:
            raise InputError(f"--out {self.directory} cannot be written to ({error.strerror})") from error

    def arrays_path(self, id: str) -> Path:
        """Return where a record's arrays lie: codes, per-query values and curves, without pickle."""
        return self.folder / f"{id}.npz"

    def model_path(self, id: str) -> Path:
        """Return where the trained method of a record lies, if the run kept it."""
        return self.models / f"{id}.safetensors"

    def arrays(self, id: str) -> dict[str, np.ndarray]:
        """Return a record's arrays.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        return _read_npz(self.arrays_path(id), "run again with --fresh")

    def labels_path(self, fingerprint: str) -> Path:
        """Return where the labels of a data set's queries and database lie, without pickle."""
        return self.directory / "labels" / f"{fingerprint[:32]}.npz"

    def write_relevance(self, fingerprint: str, relevance: Mapping[str, np.ndarray]) -> None:
        """Keep what is relevant to what with the codes, so that they can be scored again without the data's files.

        It is written once: the fingerprint covers it.

        Parameters
        ----------
        fingerprint : str
        relevance : mapping of ndarray
            What `Dataset.relevance` returns.
        """
        path = self.labels_path(fingerprint)
        if path.is_file():
            return
        buffer = io.BytesIO()
        np.savez(buffer, **{RELEVANCE[name]: array for name, array in relevance.items()})  # type: ignore[arg-type]
        writable_directory(path.parent, "--out")
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise InputError(f"--out {self.directory} cannot be written to ({error.strerror})") from error

    def relevance(self, fingerprint: str) -> dict[str, np.ndarray]:
        """Return what `write_relevance` has kept: labels of queries and database, or true neighbours.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        mend = "delete it and repeat the run with the same --out, which adds it and keeps finished records"
        arrays = _read_npz(self.labels_path(fingerprint), mend)
        if set(arrays) not in ({"query", "database"}, {"neighbors"}):
            raise InputError(f"{self.labels_path(fingerprint)} is damaged (it holds {sorted(arrays)}); {mend}")
        return {name: arrays[key] for name, key in RELEVANCE.items() if key in arrays}

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all readable records, in a stable order."""
        for path in sorted(self.folder.glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record


def _read_npz(path: Path, mend: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file, or say what is wrong and how to mend it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        what = "is damaged" if path.is_file() else "is missing"
        raise InputError(f"{path} {what} ({error}); {mend}") from error


def open_results(directory: Path) -> Store:
    """Open an output directory for reading.

    Raises
    ------
    InputError
        It does not exist or holds no record.
    """
    store = Store(directory)
    if next(iter(store), None) is None:
        raise InputError(f"{directory} holds no records; make some with: hashbench run --out {directory}")
    return store
