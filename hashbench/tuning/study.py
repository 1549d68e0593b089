"""The search of one method at one code length: it asks for trials and is told their records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hashbench.errors import InputError
from hashbench.records.metric_info import MetricInfo
from hashbench.records.record import Record
from hashbench.runs.requested.config import literal
from hashbench.runs.requested.grid import parse_methods
from hashbench.tuning.draws import BATCH, Asked, draws_of, key_of
from hashbench.tuning.options import TRIALS, TuneOptions
from hashbench.tuning.tasks import Subject

SHORT = 4
"""Pruned trials are trained for the epochs divided by this."""
ASK_AGAIN = 20
"""Draws in search of a configuration that was not tried."""


def import_optuna() -> None:
    """Import Optuna and keep it from printing.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError(f'tuning needs Optuna ({error}): pip install "hashbench[tune]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Trial:
    """A configuration and how it ended.

    Attributes
    ----------
    number : int
        0 is the default configuration.
    label : str
        The method with its parameters, as ``--methods`` reads it.
    params : dict
        The values of the tuned parameters.
    record : Record
    score : float or None
        By the metric of the study; None if the trial failed.
    merit : float or None
        The same, more is better.
    seconds : float
        Time of its cells.
    steps : int
        Training steps of its cells; 0 if the method does not train by steps.
    pruned : bool
        Whether it was stopped after a short training, whose record it has.
    """

    number: int
    label: str
    params: dict[str, Any]
    record: Record
    score: float | None
    merit: float | None
    seconds: float
    steps: int
    pruned: bool = False


class Study:
    """Trials of one method at one code length.

    Parameters
    ----------
    subject : Subject
    n_bits : int or None
        None for a quantizer that has one code length.
    options : TuneOptions
    metric : MetricInfo

    Attributes
    ----------
    trials : list of Trial
        Those that ended and count.
    """

    def __init__(self, subject: Subject, n_bits: int | None, options: TuneOptions, metric: MetricInfo) -> None:
        self.subject, self.n_bits, self.metric = subject, n_bits, metric
        self.trials: list[Trial] = []
        self._most, self._seconds, self._steps = options.most_trials, options.seconds, options.steps
        if self._most is None and self._seconds is None and subject.epochs is None:
            self._most = TRIALS
        self._asked: list[Asked] = []
        self._seen: set[str] = set()
        (self._spec,) = parse_methods(subject.label)
        self._default = {name: subject.defaults[name] for name in subject.space}
        seed = options.first_seed if options.random_state is None else options.random_state
        self._draws = draws_of(subject.space, f"{seed} {subject.label} {n_bits}", self._most)
        self._short = subject.epochs // SHORT if options.prune and subject.epochs else 0

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, the first of equal ones; None if all failed."""
        scored = [trial for trial in self.trials if trial.merit is not None]
        return max(scored, key=lambda trial: (trial.merit, -trial.number)) if scored else None

    @property
    def default(self) -> Trial:
        """The trial of the default configuration."""
        return self.trials[0]

    @property
    def title(self) -> str:
        """The method and the code length."""
        return f"{self.subject.label} {self.bits} bits"

    @property
    def bits(self) -> int:
        """The code length in bits."""
        return self.default.record.config["n_bits"]

    @property
    def seconds(self) -> float:
        """Time of its trials."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def steps(self) -> int:
        """Training steps of its trials."""
        return sum(trial.steps for trial in self.trials)

    def ask(self) -> bool:
        """Draw the next trials; return whether there are any, or the budget or the space is used up."""
        assert not self._asked
        most = BATCH if self._most is None else min(BATCH, self._most - len(self.trials))
        if self._is_over():
            most = 0
        if most and not self.trials:
            self._note(Asked(self._default, None))
        while len(self._asked) < most and self._draw():
            pass
        return bool(self._asked)

    def short_trainings(self) -> list[str]:
        """Return the labels of the trials with a quarter of the epochs; none if trials are not pruned."""
        return [self._label(one.params, self._short) for one in self._asked] if self._prunes else []

    def prune(self, records: Sequence[Record]) -> None:
        """Stop the trials whose short training scores below the median of those before; never the default."""
        if not self._prunes:
            return
        for one, record in zip(self._asked, records, strict=True):
            one.short, one.short_merit = record, self._merit(record)
            one.pruned = self._draws.is_hopeless(one, self._short)

    def labels(self) -> list[str]:
        """Return the labels of the trials that are trained in full."""
        return [self._label(one.params) for one in self._asked if not one.pruned]

    def tell(self, records: Sequence[Record]) -> None:
        """Note the records of the trials that were trained; those after time or steps are used up do not count."""
        full = iter(records)
        for one in self._asked:
            record = one.short if one.pruned else next(full)
            assert record is not None
            if self._is_over():
                break
            merit = None if one.pruned else self._merit(record)
            score = None if merit is None else record.metrics[self.metric.name]
            cells = {each.id: each for each in (one.short, record) if each is not None}
            cost = sum(map(seconds_of, cells.values())), sum(map(self._steps_of, cells.values()))
            label = self._label(one.params)
            self.trials.append(Trial(len(self.trials), label, one.params, record, score, merit, *cost, one.pruned))
            self._draws.tell(one, merit, self._short)
        self._asked = []

    @property
    def _prunes(self) -> bool:
        return self._short > 0 and self._draws.learns

    def _is_over(self) -> bool:
        budgets = (self._seconds, self.seconds), (self._steps, self.steps)
        return any(budget is not None and spent >= budget for budget, spent in budgets)

    def _steps_of(self, record: Record) -> int:
        """Return the training steps of a record's cell; one that failed counts as if it had been trained."""
        params, n_train = record.config["params"], self.subject.n_train
        epochs = len(record.training) or params.get("epochs") or self.subject.epochs or 0
        return epochs * math.ceil(n_train / params.get("batch_size", n_train))

    def _merit(self, record: Record) -> float | None:
        """Return the score of a record, more is better; None if it has none."""
        score = record.metrics.get(self.metric.name) if record.status == "ok" else None
        return None if score is None else -score if self.metric.better == "lower" else score

    def _draw(self) -> bool:
        for _ in range(ASK_AGAIN):
            drawn = self._draws.ask()
            if drawn is None:
                return False
            asked = Asked(*drawn)
            if self._note(asked):
                return True
            self._draws.tell(asked, None, self._short)
        return False

    def _note(self, asked: Asked) -> bool:
        """Note a configuration as asked for, unless it was before."""
        label = self._label(asked.params)
        if label in self._seen:
            return False
        self._seen.add(label)
        self._asked.append(asked)
        return True

    def _label(self, params: Mapping[str, Any], epochs: int | None = None) -> str:
        """Return the method with the parameters that differ from the defaults, and perhaps with other epochs."""
        values = dict(self._spec.values)
        values |= {name: literal(one) for name, one in params.items() if key_of(one) != key_of(self._default[name])}
        values |= {} if epochs is None else {"epochs": str(epochs)}
        return replace(self._spec, values=tuple(values.items())).label


def seconds_of(record: Record) -> float:
    """Return the time of a record's cell: measured, or from its start to its end if it failed."""
    if "cell_s" in record.timings:
        return record.timings["cell_s"]
    return (datetime.fromisoformat(record.date) - datetime.fromisoformat(record.started)).total_seconds()
