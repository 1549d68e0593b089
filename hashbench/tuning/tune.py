"""Tuning: trials of every method, batch by batch, then one run of default and chosen parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from hashbench.errors import InputError
from hashbench.progress import Watch
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.results.results_csv import write_results
from hashbench.results.setting import grouped
from hashbench.runs.requested.grid import MAX_BITS, parse_integers
from hashbench.runs.run import PLAIN, Grid, opened
from hashbench.tuning.final_run import run_chosen
from hashbench.tuning.options import TuneOptions
from hashbench.tuning.study import Study, import_optuna
from hashbench.tuning.tasks import Plan, plan_trials, plan_tuning
from hashbench.tuning.written import write_trials


@dataclass(frozen=True)
class Tuned:
    """What tuning has found.

    Attributes
    ----------
    plan : Plan
    studies : list of Study
        One of each method and code length.
    records : list of Record
        Of the final run: default parameters, then chosen ones.
    """

    plan: Plan
    studies: list[Study]
    records: list[Record]

    @property
    def metric(self) -> str:
        """The metric of the test queries: that of the trials, or the protocol's first if no test query has it."""
        known = {name for record in self.records for name in record.metrics}
        return self.plan.metric.name if self.plan.metric.name in known else self.plan.first_metric

    @property
    def protocol(self) -> str:
        """The protocol of the final run."""
        return self.records[0].config["protocol"]

    @property
    def failed(self) -> bool:
        """Whether a method has no trial with a score, or a cell of the final run failed."""
        no_score = any(study.best is None and study.default.record.status == "failed" for study in self.studies)
        return no_score or any(record.status == "failed" for record in self.records)


def tune(options: TuneOptions, log: Watch = PLAIN) -> Tuned:
    """Choose the parameters of methods by trials on validation queries, and run default and chosen ones.

    Trials are cells with records in ``trials`` of the output directory. A study is not kept: it asks for the same
    trials again and is told their records, so tuning that was killed goes on where it was.

    Parameters
    ----------
    options : TuneOptions
    log : Watch
        Shows how trials and the final run get on.

    Raises
    ------
    InputError
        An option, a method, its search space or the data cannot be used; or no trial of any method has a score.
    KeyboardInterrupt
        The user pressed Ctrl-C.
    """
    options.refuse_unusable()
    Store(options.out, log).refuse_unwritable()
    bits = parse_integers(options.bits, "--bits", 1, MAX_BITS)
    with opened(options.trials_run, log) as grid:
        import_optuna()  # while the worker imports the rest
        plan = grid.ask(plan_tuning, options.validation, options.metric, options.criterion)
        grid.options = replace(grid.options, protocol=plan.protocol)
        studies = [
            Study(subject, n_bits, options, plan.metric)
            for subject in plan.subjects
            for n_bits in (bits if subject.sized else [None])
        ]
        for line in _what_is_tuned(plan):
            log(line)
        while _next_batch(grid, studies, plan):
            write_trials(options.out, studies, plan)
        write_results(grid.store, final=False)
    for study in studies:
        if study.best is None:
            log(f"{study.title}: no trial has a score: {study.default.record.error}")
    if not any(study.best for study in studies):
        raise InputError(f"no trial has a score: {studies[0].default.record.error}")
    return Tuned(plan, studies, run_chosen(options, plan, studies, log))


def _what_is_tuned(plan: Plan) -> list[str]:
    without = [subject.label for subject in plan.subjects if not subject.space]
    lines = [f"trials: by {plan.metric.name} on {plan.protocol}"]
    return lines + ([f"no parameters to tune, default only: {', '.join(without)}"] if without else [])


def _next_batch(grid: Grid, studies: Sequence[Study], plan: Plan) -> bool:
    """Compute the next trials of all studies together; return whether there were any."""
    asked = [study for study in studies if study.ask()]
    for study, records in _computed(grid, plan, {study: study.short_trainings() for study in asked}):
        study.prune(records)
    for study, records in _computed(grid, plan, {study: study.labels() for study in asked}):
        study.tell(records)
    return bool(asked)


def _computed(grid: Grid, plan: Plan, labels_of: Mapping[Study, Sequence[str]]) -> Iterator[tuple[Study, list[Record]]]:
    """Compute the trials of studies together, and yield the records of each study."""
    by_bits = grouped(labels_of, lambda study: study.n_bits)
    grids = [(n_bits, [label for study in same for label in labels_of[study]]) for n_bits, same in by_bits.items()]
    grids = [(n_bits, labels) for n_bits, labels in grids if labels]
    records: Iterator[Record] = iter(())
    if grids:
        records = iter(grid.compute(grid.ask(plan_trials, grids, plan.recall), last=False))
    for study in chain.from_iterable(by_bits.values()):
        yield study, list(islice(records, len(labels_of[study])))
