"""The options of a run as a file next to its records, which repeats the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from hashbench.errors import InputError
from hashbench.files.paths import printable
from hashbench.files.writing import as_input_error, write_atomically
from hashbench.runs.job import Job
from hashbench.runs.requested.config import FIELDS, PER_DATASET
from hashbench.runs.requested.grid import MAX_BITS, MAX_SEED, parse_integers
from hashbench.runs.requested.options import RunOptions

NAME = "run.toml"
ONCE = ("fresh", "retry_failed", "in_process", "scheduler")
"""Options that say how a run is computed this time, and are not repeated."""


def write_config(options: RunOptions, jobs: Sequence[Job]) -> None:
    """Write ``run.toml`` into the output directory: all options as they were resolved, paths absolute.

    Raises
    ------
    InputError
        The file cannot be written, or a path's name is not UTF-8, which TOML cannot hold.
    """
    write_options(options.out / NAME, options, jobs)


def write_options(path: Path, options: RunOptions, jobs: Sequence[Job]) -> None:
    """Write the options of jobs as a file that ``hashbench run`` reads.

    Raises
    ------
    InputError
        See `write_config`.
    """
    content = f"# Repeat this run with: hashbench run {path.name}\n" + tomli_w.dumps(_resolved(options, jobs))
    try:
        with as_input_error(path, "--out"):
            write_atomically(path, content.encode())
    except UnicodeEncodeError as error:
        line = content[content.rfind("\n", 0, error.start) + 1 :].partition("\n")[0]
        raise InputError(f"{path} cannot hold {printable(line, 200)}: the name is not UTF-8; rename it") from error


def _resolved(options: RunOptions, jobs: Sequence[Job]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: getattr(options, name) for name in FIELDS if name not in (*ONCE, *PER_DATASET, "dataset")
    }
    values |= {
        "methods": list(dict.fromkeys(job.label for job in jobs)),
        "bits": parse_integers(options.bits, "--bits", 1, MAX_BITS),
        "seeds": parse_integers(options.seeds, "--seeds", 0, MAX_SEED),
    }
    written = {name: _plain(value) for name, value in values.items() if value not in (None, "")}
    return written | {"datasets": list(map(_plain, _datasets(jobs)))}


def _datasets(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    settings = dict.fromkeys(job.setting for job in jobs)
    return [{"name": one.dataset, **{name: getattr(one, name) for name in PER_DATASET}} for one in settings]


def _plain(value: Any) -> Any:
    """Return a value as TOML has it."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
