"""The status of the runs on a directory: what was planned, and the state of each cell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hashbench.errors import InputError
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.records.record import GIVEN, Record
from hashbench.records.store import SHARED, Store
from hashbench.runs.job import Job

State = Literal["done", "failed", "running", "missing"]
STATES: tuple[State, ...] = ("done", "failed", "running", "missing")


@dataclass(frozen=True)
class Planned:
    """A cell that a run has set out to compute.

    Attributes
    ----------
    id : str
    title : str
        The cell in words.
    dataset, protocol, backbone : str
    """

    id: str
    title: str
    dataset: str
    protocol: str
    backbone: str


@dataclass(frozen=True)
class CellStatus:
    """The state of a cell.

    Attributes
    ----------
    cell : Planned
    state : {"done", "failed", "running", "missing"}
        ``done``: there is a record, and running the cell again would not change it. ``running``: a process holds its
        lock.
    error : str
        Why, of a failed cell.
    """

    cell: Planned
    state: State
    error: str = ""


def write_planned(store: Store, jobs: Iterable[Job]) -> None:
    """Note the cells of a run in ``jobs.json``, next to those that earlier runs on the directory have noted.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = _path(store)
    with as_input_error(path, "--out"), store.lock(SHARED):
        cells = _read(path) | {job.id: _planned(job.id, job.title, job.config) for job in jobs}
        content = json.dumps({"jobs": [asdict(cell) for cell in cells.values()]}, indent=1)
        write_atomically(path, content.encode())


def read_status(directory: Path) -> list[CellStatus]:
    """Return the state of each cell that was planned, and of each that has a record.

    Nothing is written, so that it can be asked while a run goes on, by anyone who may read.

    Raises
    ------
    InputError
        No run has written to the directory.
    """
    store = Store(directory)
    records = {record.id: record for record in store}
    finished = {id: _planned(id, record.title, record.config) for id, record in records.items()}
    cells = _read(_path(store)) | finished
    if not cells:
        raise InputError(f"{directory} holds no run; start one with: hashbench run --out {directory}")
    return [_status(cell, records.get(cell.id), store.is_locked(cell.id)) for cell in cells.values()]


def _path(store: Store) -> Path:
    return store.directory / "jobs.json"


def _planned(id: str, title: str, config: dict[str, Any]) -> Planned:
    return Planned(id, title, config["dataset"], config["protocol"], config["features"]["backbone"] or GIVEN)


def _read(path: Path) -> dict[str, Planned]:
    """Return what a file holds; a damaged one is as good as none, as the next run writes it anew."""
    try:
        cells = [Planned(**{key: str(value) for key, value in cell.items()}) for cell in _listed(path)]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {cell.id: cell for cell in cells}


def _listed(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content.get("jobs", [])


def _status(cell: Planned, record: Record | None, locked: bool) -> CellStatus:
    if locked:
        return CellStatus(cell, "running")
    if record is None:
        return CellStatus(cell, "missing")
    return CellStatus(cell, "done") if record.finished else CellStatus(cell, "failed", record.error)
