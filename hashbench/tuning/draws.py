"""Where the configurations of a study come from: all of a small search space, or Optuna's sampler."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hashbench.contract.search_space import Choice, Range
from hashbench.records.record import Record

if TYPE_CHECKING:
    import optuna

BATCH = 4
"""Trials of a study that are asked for together. It does not depend on ``--jobs``, so that trials do not either."""
RANDOM_TRIALS = 8
"""Trials before the sampler begins to learn from scores."""
DIGITS = 3
"""Significant digits of a number that the sampler draws."""


@dataclass
class Asked:
    """A configuration that was asked for: what drew it, and its short training if there was one."""

    params: dict[str, Any]
    drawn: optuna.trial.Trial | None
    short: Record | None = None
    short_merit: float | None = None
    pruned: bool = False


def key_of(value: Any) -> tuple[bool, Any]:
    """Return what tells values of a parameter apart: True and 1 differ, 1 and 1.0 do not."""
    return isinstance(value, bool), value


def draws_of(space: Mapping[str, Range | Choice], seed: str, most: int | None) -> Every | Sampled:
    """Return where configurations come from: all of them if there are not more than trials, or a sampler."""
    values = [_values(one) for one in space.values()]
    n_configurations = 1
    for some in values:
        n_configurations *= len(some) if some is not None else 10**9
    if n_configurations <= (most or 10**3):
        return Every(dict(zip(space, one, strict=True)) for one in itertools.product(*filter(None, values)))
    return Sampled(space, int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]))


def _values(one: Range | Choice) -> Sequence[Any] | None:
    """Return all values of a parameter; None if they cannot be listed."""
    if isinstance(one, Choice):
        return one.values
    return range(int(one.low), int(one.high) + 1) if one.integer else None


class Every:
    """All configurations, one after the other."""

    learns = False

    def __init__(self, configurations: Iterator[dict[str, Any]]) -> None:
        self._configurations = configurations

    def ask(self) -> tuple[dict[str, Any], None] | None:
        """Return the next one; None if there is none any more."""
        params = next(self._configurations, None)
        return None if params is None else (params, None)

    def is_hopeless(self, asked: Asked, epochs: int) -> bool:
        """Return False."""
        return False

    def tell(self, asked: Asked, merit: float | None, epochs: int) -> None:
        """Learn nothing."""


class Sampled:
    """Configurations of Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011)."""

    learns = True

    def __init__(self, space: Mapping[str, Range | Choice], seed: int) -> None:
        import optuna

        self._space = space
        self._distributions = {name: _distribution(one) for name, one in space.items()}
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=BATCH)
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)

    def ask(self) -> tuple[dict[str, Any], optuna.trial.Trial]:
        """Return the next configuration."""
        trial = self._study.ask(self._distributions)
        return {name: self._rounded(name, trial.params[name]) for name in self._space}, trial

    def is_hopeless(self, asked: Asked, epochs: int) -> bool:
        """Return whether a short training failed, or is below the median of trials that were trained in full."""
        if asked.drawn is None:
            return False
        if asked.short_merit is None:
            return True
        asked.drawn.report(asked.short_merit, epochs)
        return asked.drawn.should_prune()

    def tell(self, asked: Asked, merit: float | None, epochs: int) -> None:
        """Learn the merit of a configuration, or that it has none, and that of its short training."""
        from optuna.trial import TrialState, create_trial

        if asked.drawn is None and merit is not None:  # the default, which the sampler did not draw
            params = {name: self._drawn(name, value) for name, value in asked.params.items()}
            short = {} if asked.short_merit is None else {epochs: asked.short_merit}
            self._study.add_trial(
                create_trial(params=params, value=merit, distributions=self._distributions, intermediate_values=short)
            )
        elif asked.drawn is not None:
            lost = TrialState.PRUNED if asked.pruned and asked.short_merit is not None else TrialState.FAIL
            self._study.tell(asked.drawn, merit, lost if merit is None else TrialState.COMPLETE)

    def _rounded(self, name: str, drawn: Any) -> Any:
        one = self._space[name]
        if isinstance(one, Choice):
            return one.values[drawn]
        if one.integer:
            return drawn
        return min(max(float(f"{drawn:.{DIGITS}g}"), one.low), one.high)

    def _drawn(self, name: str, value: Any) -> Any:
        one = self._space[name]
        return [key_of(other) for other in one.values].index(key_of(value)) if isinstance(one, Choice) else value


def _distribution(one: Range | Choice) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if isinstance(one, Choice):
        return distributions.CategoricalDistribution(range(len(one.values)))
    kind = distributions.IntDistribution if one.integer else distributions.FloatDistribution
    return kind(one.low, one.high, log=one.log)  # type: ignore[arg-type]
