"""What tuning writes besides records: every trial in ``trials.csv``, the chosen parameters in TOML files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hashbench.files.writing import as_input_error, csv_safe, table_bytes, writable_directory, write_atomically
from hashbench.runs.job import Job
from hashbench.runs.requested.resolved import write_options
from hashbench.tuning.options import TuneOptions
from hashbench.tuning.study import Study
from hashbench.tuning.tasks import Plan

TRIALS_CSV = "trials.csv"


def write_trials(directory: Path, studies: Sequence[Study], plan: Plan) -> None:
    """Write ``trials.csv``: a row per trial, with the best score so far.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    import pandas as pd

    frame = pd.DataFrame([row for study in studies for row in _rows(study, plan)])
    path = writable_directory(directory, "--out") / TRIALS_CSV
    with as_input_error(path, "--out"):
        write_atomically(path, table_bytes(frame))


def _rows(study: Study, plan: Plan) -> Iterator[dict[str, object]]:
    best = None
    for trial in study.trials:
        if trial.merit is not None and (best is None or best.merit is None or trial.merit > best.merit):
            best = trial
        yield {
            "method": csv_safe(study.subject.label),
            "bits": study.bits,
            "trial": trial.number,
            "label": csv_safe(trial.label),
            "params": csv_safe(json.dumps(trial.params, sort_keys=True)),
            "metric": plan.metric.name,
            "score": trial.score,
            "best_so_far": None if best is None else best.score,
            **{name: trial.record.metrics.get(name) for name in plan.shown},
            "chosen": "" if study.best is None else csv_safe(study.best.label),
            "seconds": round(trial.seconds, 4),
            "steps": trial.steps,
            "status": "pruned" if trial.pruned else trial.record.status,
            "error": csv_safe(trial.record.error),
            "id": trial.record.id,
        }


def write_toml(options: TuneOptions, chosen: Mapping[int, Sequence[Job]]) -> None:
    """Write the chosen parameters as files that ``hashbench run`` reads: one per code length if there are several.

    Parameters
    ----------
    options : TuneOptions
    chosen : mapping from int to sequence of Job
        By code length.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    for n_bits, jobs in chosen.items():
        name = "tuned.toml" if len(chosen) == 1 else f"tuned-{n_bits}bits.toml"
        repeated = replace(options.final_run, bits=(n_bits,), out=options.out / "repeated")
        write_options(options.out / name, repeated, jobs)
