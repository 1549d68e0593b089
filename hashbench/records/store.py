"""Records on disk: one JSON file per cell, written whole, with its arrays next to it."""

from __future__ import annotations

import fcntl
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash
from hashbench.files.writing import as_input_error, refuse_unwritable, writable_directory, write_atomically
from hashbench.progress import to_stderr
from hashbench.records.array_schema import CODES, PER_QUERY, problem_in
from hashbench.records.record import Record, UnusableRecord, read_record
from hashbench.renamed import present_config, present_label

RELEVANCE = {"query_labels": "query", "database_labels": "database", "unseen": "unseen", "neighbors": "neighbors"}
"""Names of `evaluate`'s arguments in a file of labels."""
FAILED = ".failed.json"
"""Suffix of the record of a failure next to an earlier record that ended well."""
SHARED = "jobs"
"""Name of the lock that is held while a file is written that several cells share."""
SHOWN = 12
"""Characters of its id by which the name of a cell's model ends."""
TEMPORARY = re.compile(
    r"\.((?P<id>[0-9a-f]{64})(\.failed)?|.+-(?P<shown>[0-9a-f]{12})|[0-9a-f]{32}|jobs|results|run)"
    r"\.(json|npz|safetensors|csv|toml)\.\d+"
)
"""Names that `hashbench.files.writing.atomic_stream` gives to what a run writes."""


class Cell(Protocol):
    """What a planned job and its record have in common."""

    @property
    def id(self) -> str:
        """SHA-256 of the configuration."""

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result."""


class Store:
    """The records of an output directory.

    Parameters
    ----------
    directory : Path
        Holds ``records/<id>.json`` and ``records/<id>.npz``, per data set ``labels/<fingerprint[:32]>.npz``, where a
        run keeps its models ``models/<data set>-<method>-<bits>bits-<seed>-<id[:12]>.safetensors``, and ``work/<id>``
        while a cell is computed.
    log : callable
        Receives a line on each file that cannot be used.
    """

    def __init__(self, directory: Path, log: Callable[[str], object] = to_stderr) -> None:
        self.directory = directory.absolute()
        self.folder = self.directory / "records"
        self.models = self.directory / "models"
        self.labels = self.directory / "labels"
        self._log = log
        self._index: dict[Path, tuple[tuple[int, int], Record | None]] = {}

    def refuse_unwritable(self) -> None:
        """Make sure that records and results could be written, without leaving a trace.

        Raises
        ------
        InputError
            The directory or its ``results.csv`` could not be written.
        """
        refuse_unwritable(self.directory, "--out")
        if (self.directory / "results.csv").is_dir():
            raise InputError(f"--out {self.directory}: results.csv is a directory; remove it or name another --out")

    def open_for_writing(self) -> None:
        """Create the directory of records.

        Raises
        ------
        InputError
            The directory cannot be created.
        """
        writable_directory(self.folder, "--out")

    def read(self, id: str) -> Record | None:
        """Return a record with all that belongs to it; None where there is none.

        A damaged one is moved aside, to be computed again.

        Raises
        ------
        InputError
            A newer version of hashbench wrote it.
        """
        path = self.folder / f"{id}.json"
        try:
            record = read_record(path)
        except FileNotFoundError:
            return None
        except UnusableRecord as error:
            if error.newer:
                raise InputError(
                    f"{path} is a newer version's record ({error}); update, or name another --out"
                ) from error
            path.replace(path.with_suffix(".json.damaged"))
            self._log(f"{path} cannot be used ({error}); it is moved to {path.name}.damaged and computed again")
            return None
        if record.status == "ok":
            try:
                arrays = self.arrays(id)
                codes = () if record.is_quantizer else CODES
                for name in (*codes, *(f"{PER_QUERY}{metric}" for metric in record.metrics)):
                    arrays[name]  # which raises where it is missing
            except InputError as error:
                self._log(f"{error}; the cell is computed again")
                return None
        return record

    def write(self, record: Record, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a record, its arrays first: the JSON file's presence says that both are whole.

        A failure does not take the place of an earlier record that ended well: it is kept next to it.
        """
        path = self.folder / f"{record.id}.json"
        failure_path = path.with_name(f"{record.id}{FAILED}")
        with as_input_error(path, "--out"):
            if record.status == "failed" and self._is_ok(path):
                write_atomically(failure_path, record.to_json())
                return
            if arrays:
                buffer = io.BytesIO()
                np.savez(buffer, **arrays)  # type: ignore[arg-type]
                write_atomically(self.arrays_path(record.id), buffer.getvalue())
            write_atomically(path, record.to_json())
            failure_path.unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove a record, then its arrays."""
        for path in (self.folder / f"{id}.json", self.arrays_path(id)):
            with as_input_error(path, "--out"):
                path.unlink(missing_ok=True)

    def _is_ok(self, path: Path) -> bool:
        try:
            return read_record(path).status == "ok"
        except (FileNotFoundError, UnusableRecord):
            return False

    def lock(self, id: str) -> FileLock:
        """Return the lock to hold while a cell is computed, or while what cells share (`SHARED`) is written.

        Raises
        ------
        InputError
            The lock's file cannot be written.
        """
        path = self.directory / "locks" / f"{id}.lock"
        with as_input_error(path, "--out"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return FileLock(path)

    def is_locked(self, id: str) -> bool:
        """Return whether somebody holds the lock of a cell; nothing is written."""
        try:
            descriptor = os.open(self.directory / "locks" / f"{id}.lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def workdir(self, id: str) -> Path:
        """Return where a cell keeps checkpoints while it is computed."""
        return self.directory / "work" / id

    def arrays_path(self, id: str) -> Path:
        """Return the path of a record's arrays: codes, per-query values and curves, without pickle."""
        return self.folder / f"{id}.npz"

    def model_path(self, cell: Cell) -> Path:
        """Return the path of a cell's trained method, if the run kept it; a pattern can choose among the names."""
        seed = "" if cell.config["seed"] is None else f"-seed{cell.config['seed']}"
        cell_name = f"{cell.config['dataset']}-{cell.config['method']}-{cell.config['n_bits']}bits{seed}"
        return self.models / f"{cell_name}-{cell.id[:SHOWN]}.safetensors"

    def arrays(self, id: str) -> dict[str, np.ndarray]:
        """Return a record's arrays.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        remedy = "give the run's command again, which computes it anew"
        arrays = _read_npz(self.arrays_path(id), remedy)
        problem = problem_in(arrays)
        if problem:
            raise InputError(f"{self.arrays_path(id)} is damaged ({problem}); {remedy}")
        return arrays

    def labels_path(self, fingerprint: str) -> Path:
        """Return the path of the labels of a data set's queries and database."""
        return self.labels / f"{fingerprint[:32]}.npz"

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
        with as_input_error(path, "--out"), self.lock(SHARED):
            write_atomically(path, buffer.getvalue())

    def relevance(self, fingerprint: str) -> dict[str, np.ndarray]:
        """Return what `write_relevance` has kept: labels of queries and database and unseen classes, or neighbours.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        remedy = "delete it and repeat the run with the same --out, which adds it and keeps finished records"
        arrays = _read_npz(self.labels_path(fingerprint), remedy)
        if set(arrays) - {"unseen"} != {"query", "database"} and set(arrays) != {"neighbors"}:
            raise InputError(f"{self.labels_path(fingerprint)} is damaged (it holds {sorted(arrays)}); {remedy}")
        return {name: arrays[key] for name, key in RELEVANCE.items() if key in arrays}

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all usable records, in a stable order; files that have not changed are not read again."""
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.endswith(FAILED) and not entry.name.startswith("."):
                record = self._indexed(Path(entry.path), entry.stat())
                if record is not None:
                    yield record

    def _indexed(self, path: Path, status: os.stat_result) -> Record | None:
        stamp = (status.st_mtime_ns, status.st_size)
        if path not in self._index or self._index[path][0] != stamp:
            self._index[path] = (stamp, self._usable(path))
        return self._index[path][1]

    def _usable(self, path: Path) -> Record | None:
        try:
            record = read_record(path)
        except FileNotFoundError:
            return None
        except UnusableRecord as error:
            self._log(f"{path} is passed over: {error}")
            return None
        if record.status == "ok" and not self.arrays_path(record.id).is_file():
            self._log(f"{path} is passed over: its arrays, {record.id}.npz, are missing")
            return None
        return self._present(record)

    def _present(self, record: Record) -> Record | None:
        """Return a record under the present names; None where the same cell has been computed under these, too."""
        version = record.environment.get("versions", {}).get("hashbench", "")
        config = present_config(record.config, version)
        if config == record.config:
            return record
        if (self.folder / f"{canonical_hash(config)}.json").is_file():
            return None
        return replace(record, config=config, label=present_label(record.label, version))


class _Arrays(dict[str, np.ndarray]):
    """The arrays of a file, which says what it lacks."""

    def __init__(self, path: Path, remedy: str, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self._path, self._remedy = path, remedy

    def __missing__(self, name: str) -> np.ndarray:
        raise InputError(f"{self._path} has no array {name!r}; {self._remedy}")


def _read_npz(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file, or say what is wrong and how to fix it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _Arrays(path, remedy, file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, KeyError) as error:
        what = "is damaged" if path.is_file() else "is missing"
        raise InputError(f"{path} {what} ({error}); {remedy}") from error


def open_results(directory: Path) -> Store:
    """Open an output directory for reading.

    Raises
    ------
    InputError
        The directory does not exist or holds no usable record.
    """
    store = Store(directory)
    if next(iter(store), None) is None:
        remedy = f"make some with: hashbench run --out {directory}"
        raise InputError(f"{directory} holds no records that can be used; {remedy}")
    return store


def remove_leftovers(store: Store) -> None:
    """Remove temporary files of killed runs: those whose lock, a cell's or the shared one, is free."""
    for folder in (store.directory, store.folder, store.models, store.labels):
        for path in folder.glob(".*"):
            name = TEMPORARY.fullmatch(path.name)
            if name is not None:
                id = _cell_of(name["shown"], store) if name["shown"] else name["id"]
                with suppress(Timeout), store.lock(id or SHARED).acquire(timeout=0):
                    path.unlink(missing_ok=True)


def _cell_of(shown: str, store: Store) -> str | None:
    """Return the id of the cell whose model's name ends so; None where no run has locked such a cell."""
    return next((path.stem for path in (store.directory / "locks").glob(f"{shown}*.lock")), None)
