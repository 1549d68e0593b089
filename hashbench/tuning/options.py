"""The options of tuning."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from hashbench.errors import InputError
from hashbench.options import option
from hashbench.runs.requested.grid import MAX_SEED, parse_integers, split_names
from hashbench.runs.requested.options import RunOptions

TRIALS = 20
"""Trials of each method and code length if the user sets no budget."""
LABELS, NEIGHBOURS = "labels", "neighbours"
UNUSED = ("datasets", "fresh", "retry_failed")
"""Options of a run that tuning does not have: trials that ended are what the later ones follow from."""


@dataclass(frozen=True)
class TuneOptions(RunOptions):
    """What tuning is asked to do: the options of ``hashbench tune``, those of a run among them."""

    out: Path = option(Path("runs/tuned"), "Directory of the final records; those of trials are in its folder trials.")
    trials: int | None = option(
        None,
        f"Trials of each method and code length, the default parameters among them. Default: {TRIALS}, or no limit "
        "with --seconds or --steps.",
        minimum=1,
    )
    seconds: float | None = option(
        None, "Time of the trials of each method and code length; the last one is finished.", minimum=0.001
    )
    steps: int | None = option(
        None,
        "Training steps of the trials of each method and code length; the last one is finished. Methods that do not "
        f"train by steps have {TRIALS} trials.",
        minimum=1,
    )
    metric: str = option("", "The metric to tune by. Default: the protocol's first, or recall@100 of neighbours.")
    criterion: str = option(
        LABELS,
        "What trials are scored by: labels (the protocol's relevance), or neighbours (recall of the features' true "
        "neighbours, without labels; for unsupervised methods).",
        choices=(LABELS, NEIGHBOURS),
    )
    validation: float = option(0.2, "Share of the training set that trials are scored on instead of the test queries.")
    prune: bool = option(
        False,
        "Train trials of methods with epochs for a quarter of these first, and stop those below the median.",
    )
    random_state: int | None = option(None, "Seed of the search. Default: the first of --seeds.", minimum=0)

    @property
    def first_seed(self) -> int:
        """The seed that trials are trained with."""
        return parse_integers(self.seeds, "--seeds", 0, MAX_SEED)[0]

    @property
    def most_trials(self) -> int | None:
        """How many trials a method has at each code length, at most; None if only time or steps are limited."""
        unlimited = self.trials is None and self.seconds is None and self.steps is None
        return TRIALS if unlimited else self.trials

    @property
    def final_run(self) -> RunOptions:
        """The options of the run of default and chosen parameters."""
        return RunOptions(**{one.name: getattr(self, one.name) for one in fields(RunOptions)})

    @property
    def trials_run(self) -> RunOptions:
        """The options of the runs of trials; their protocol is still the user's."""
        return replace(
            self.final_run,
            seeds=(self.first_seed,),
            out=self.out / "trials",
            exclusive_timing=False,
            save_models=False,
        )

    def refuse_unusable(self) -> None:
        """Raise if options contradict each other.

        Raises
        ------
        InputError
            Tuning is not for one data set, protocol, backbone and distance; or the share is not between 0 and 1.
        """
        for name in ("dataset", "protocol", "backbone", "distance"):
            value = getattr(self, name)
            if value is not None and len(split_names(value, f"--{name}")) > 1:
                raise InputError(f"--{name} {value}: tuning is for one at a time; name one")
        if not 0 < self.validation < 1:
            raise InputError(f"--validation {self.validation:g}: expected a number above 0 and below 1")
