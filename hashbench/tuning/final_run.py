"""The final run: default and chosen parameters with all seeds, scored on the test queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hashbench.files.hashing import canonical_hash
from hashbench.progress import Watch
from hashbench.records.record import Record, TunedBy
from hashbench.records.store import Store
from hashbench.results.results_csv import write_results
from hashbench.results.setting import grouped
from hashbench.runs.job import Job
from hashbench.runs.run import Grid, opened
from hashbench.tuning.options import TuneOptions
from hashbench.tuning.study import Study, Trial
from hashbench.tuning.tasks import Plan, plan_trials
from hashbench.tuning.written import write_toml


def run_chosen(options: TuneOptions, plan: Plan, studies: Sequence[Study], log: Watch) -> list[Record]:
    """Run default and chosen parameters of each study; return the records of the defaults, then of the chosen ones.

    Methods without a trial that has a score are left out. The records of chosen parameters have ``tuned`` in their
    configuration, which says how they were chosen. If that is the default, its records are kept once more as the tuned
    ones, without another training.
    """
    tuned = tuned_by(options, plan)
    with opened(options.final_run, log) as grid:
        scored = [(study.n_bits, study.default, study.best) for study in studies if study.best is not None]
        default = _planned(grid, [(n_bits, trial) for n_bits, trial, _ in scored])
        chosen = _planned(grid, [(n_bits, trial) for n_bits, _, trial in scored])
        write_toml(options, grouped(chosen, lambda job: job.n_bits))
        ids = {job.id for job in default}
        other = [replace(job, config=job.config | {"tuned": tuned}) for job in chosen if job.id not in ids]
        records = grid.compute([*default, *other])
        by_id = {record.id: record for record in records}
        copies = [_copy(by_id[job.id], tuned, grid.store) for job in chosen if job.id in ids]
        if copies:
            write_results(grid.store)
        return [*records, *copies]


def tuned_by(options: TuneOptions, plan: Plan) -> TunedBy:
    """Return what records say of how their parameters were chosen."""
    tuned: dict[str, Any] = {
        "metric": plan.metric.name,
        "protocol": plan.protocol,
        "labels": plan.uses_labels,
        "trials": options.most_trials,
        "seconds": options.seconds,
        "steps": options.steps,
        "pruned": options.prune or None,
    }
    return {name: value for name, value in tuned.items() if value is not None}  # type: ignore[return-value]


def _planned(grid: Grid, trials: Sequence[tuple[int | None, Trial]]) -> list[Job]:
    """Return the jobs of the configurations of trials at their code lengths, with all seeds."""
    by_bits = grouped(trials, lambda one: one[0])
    grids = [(n_bits, [trial.label for _, trial in same]) for n_bits, same in by_bits.items()]
    return grid.ask(plan_trials, grids, None)


def _copy(record: Record, tuned: TunedBy, store: Store) -> Record:
    """Keep a record of the default once more as tuned; a failure is not copied."""
    config = record.config | {"tuned": tuned}
    again = replace(record, config=config, id=canonical_hash(config))
    store.write(again, store.arrays(record.id) if record.status == "ok" else None)
    return again
