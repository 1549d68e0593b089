"""The conformance suite that every data set plugin passes.

As a library call ``check_dataset(Mine)``, as a pytest parametrisation ``@parametrize_with_checks([Mine])``, and on the
command line ``hashbench check NAME [--data-dir DIR]``. Checks of the facts need no files. Where a data set's files are
not there, the checks of the data are skipped, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hashbench.checks.dataset_contents import (
    check_data_dir_is_left_alone,
    check_draws,
    check_items,
    check_loads,
    check_loads_the_same_twice,
    check_relevance,
    check_splits,
)
from hashbench.checks.dataset_facts import (
    check_facts,
    check_metrics,
    check_missing_files,
    check_protocol_checksums,
    check_protocol_names,
)
from hashbench.checks.dataset_trial import Trial
from hashbench.checks.outcome import Outcome, raise_failures, run_checks
from hashbench.data.plugin import HashDataset

Check = Callable[[Trial], None]

CHECKS: tuple[Check, ...] = (
    check_facts,
    check_missing_files,
    check_protocol_names,
    check_protocol_checksums,
    check_metrics,
    check_loads,
    check_splits,
    check_draws,
    check_relevance,
    check_items,
    check_loads_the_same_twice,
    check_data_dir_is_left_alone,
)


def check_dataset(dataset_class: type[HashDataset], data_dir: str | Path | None = None) -> None:
    """Run every check on a data set.

    Parameters
    ----------
    dataset_class : type
        A `HashDataset` subclass.
    data_dir : path-like, optional
        Where its files are; without them, checks of the data are skipped.

    Raises
    ------
    AssertionError
        A check failed; the message lists every failed check with its reason.
    """
    raise_failures(outcomes(dataset_class, data_dir))


def outcomes(
    dataset_class: type[HashDataset], data_dir: str | Path | None = None, cache_dir: Path | None = None
) -> Iterator[Outcome]:
    """Run the checks one after the other and yield how each ended."""
    return run_checks(CHECKS, _trial(dataset_class, data_dir, cache_dir), check_loads, "the data does not load")


def parametrize_with_checks(dataset_classes: Iterable[type[HashDataset]], data_dir: str | Path | None = None) -> Any:
    """Return a pytest decorator: the test gets ``trial`` and ``check``, once per data set and check.

    Examples
    --------
    ::

        @parametrize_with_checks([Mine], data_dir="tests/data")
        def test_mine(trial, check):
            check(trial)
    """
    import pytest

    trials = [_trial(dataset_class, data_dir) for dataset_class in dataset_classes]
    pairs = [(trial, check) for trial in trials for check in CHECKS]
    ids = [f"{trial.dataset_class.name}-{check.__name__}" for trial, check in pairs]
    return pytest.mark.parametrize(("trial", "check"), pairs, ids=ids)


def _trial(dataset_class: type[HashDataset], data_dir: str | Path | None, cache_dir: Path | None = None) -> Trial:
    return Trial(dataset_class, None if data_dir is None else Path(data_dir), cache_dir)
