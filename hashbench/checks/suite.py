"""The suite of checks that every plugin passes, after scikit-learn's estimator checks.

As a library call ``check_plugin(Mine)``, as a pytest parametrisation ``@parametrize_with_checks([Mine])``, and on the
command line ``hashbench check NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hashbench.checks import (
    dataset_contents,
    dataset_facts,
    estimator_codes,
    estimator_fitting,
    method_codes,
    metric_values,
    process,
    quantizer_codes,
)
from hashbench.checks.check import DATASETS, METHODS, METRICS, QUANTIZERS, Check, Skipped
from hashbench.checks.dataset_trial import Trial
from hashbench.contract.method import HashMethod
from hashbench.contract.quantizer import Quantizer
from hashbench.data.plugin import HashDataset
from hashbench.errors import InputError, describe_error, did_you_mean, shorten
from hashbench.evaluation.metrics import Metric
from hashbench.guard.plugin_code import plugin_code
from hashbench.guard.state import kept_state

MODULES = (
    estimator_fitting,
    method_codes,
    quantizer_codes,
    estimator_codes,
    dataset_facts,
    dataset_contents,
    metric_values,
    process,
)
"""Whose checks are run in this order."""
CHECKS = tuple(value for module in MODULES for value in vars(module).values() if isinstance(value, Check))
KINDS = {QUANTIZERS: Quantizer, METHODS: HashMethod, DATASETS: HashDataset, METRICS: Metric}
ARGUMENTS = {METHODS: "method_class", QUANTIZERS: "quantizer_class", DATASETS: "trial", METRICS: "metric_class"}
"""What a test calls a plugin, see `parametrize_with_checks`."""


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Attributes
    ----------
    name : str
    how : {"ok", "FAILED", "skipped", "xfail"}
        The last is a failure that the plugin expects.
    reason : str
        Empty where the check passed.
    """

    name: str
    how: Literal["ok", "FAILED", "skipped", "xfail"]
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the plugin does not pass the suite."""
        return self.how == "FAILED"


def kind_of(plugin_class: type) -> str:
    """Return the kind of a plugin: a key of `KINDS`."""
    return next(kind for kind, base in KINDS.items() if issubclass(plugin_class, base))


def title_of(plugin_class: type) -> str:
    """Return what a plugin is called in messages: its name, or that of a metric's class."""
    return getattr(plugin_class, "name", plugin_class.__name__)


def checks_of(kind: str) -> list[Check]:
    """Return the checks of a kind of plugins."""
    return [check for check in CHECKS if kind in check.kinds]


def expected_failures(plugin_class: Any) -> dict[str, str]:
    """Return why a plugin fails which checks, as it says itself.

    Raises
    ------
    InputError
        ``expected_failures`` is no dict, names something else than a check of this kind of plugins, or gives no reason.
    """
    expected, kind, title = plugin_class.expected_failures, kind_of(plugin_class), title_of(plugin_class)
    if not isinstance(expected, dict):
        what = type(expected).__name__
        raise InputError(f'{title}: expected_failures is a {what}; write {{"check_…": "why it fails"}}')
    known = [check.__name__ for check in checks_of(kind)]
    for name, reason in expected.items():
        if name not in known:
            hint = did_you_mean(str(name), known) or f"known: {', '.join(known)}"
            shown = shorten(repr(name))
            raise InputError(f"{title}: expected_failures names {shown}, no check of {kind}; {hint}")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"{title}: expected_failures of {name} is {reason!r}; say why it fails")
    return {name: " ".join(reason.split()) for name, reason in expected.items()}


def outcomes(
    plugin_class: type, data_dir: str | Path | None = None, cache_dir: Path | None = None
) -> Iterator[Outcome]:
    """Run a plugin's checks one after the other and yield how each ended, whatever the plugin raises.

    Parameters
    ----------
    plugin_class : type
    data_dir : path-like, optional
        Where a data set's files are; without them, checks of the data are skipped.
    cache_dir : Path, optional
        Where prepared data is kept; a temporary directory by default.

    Yields
    ------
    Outcome

    Raises
    ------
    InputError
        The plugin's ``expected_failures`` cannot be used.
    """
    expected, subject = expected_failures(plugin_class), _subject(plugin_class, data_dir, cache_dir)
    ended: dict[str, Outcome] = {}
    for check in checks_of(kind_of(plugin_class)):
        name, before = check.__name__, ended.get(check.after)
        skip = check.does_not_apply(plugin_class)
        if before is not None and before.how != "ok":
            skip = skip or f"{check.after} {'was skipped' if before.how == 'skipped' else 'failed'}"
        ended[name] = Outcome(name, "skipped", skip) if skip else run_check(check, subject)
        if name in expected:
            ended[name] = _as_expected(ended[name], expected[name])
        yield ended[name]


def _subject(plugin_class: Any, data_dir: str | Path | None, cache_dir: Path | None = None) -> Any:
    """Return what checks get of a plugin."""
    if not issubclass(plugin_class, HashDataset):
        return plugin_class
    return Trial(plugin_class, None if data_dir is None else Path(data_dir), cache_dir)


def run_check(check: Check, subject: Any) -> Outcome:
    """Run one check and return how it ended, whatever the plugin raises."""
    try:
        with kept_state(), plugin_code():
            check(subject)
    except Skipped as skipped:
        return Outcome(check.__name__, "skipped", str(skipped))
    except AssertionError as error:
        return Outcome(check.__name__, "FAILED", str(error).partition("\n")[0] or "AssertionError")
    except Exception as error:
        return Outcome(check.__name__, "FAILED", describe_error(error))
    return Outcome(check.__name__, "ok")


def _as_expected(outcome: Outcome, reason: str) -> Outcome:
    if outcome.failed:
        return Outcome(outcome.name, "xfail", f"expected to fail: {reason}")
    if outcome.how == "ok":
        passes = "passes although it is expected to fail: remove it from expected_failures"
        return Outcome(outcome.name, "FAILED", passes)
    return outcome


def suite(load: Callable[[], type], data_dir: Path | None = None, cache_dir: Path | None = None) -> Iterator[Outcome]:
    """Import a plugin, run its checks, and yield how each ended.

    Parameters
    ----------
    load : callable
        Returns the plugin's class, as `hashbench.plugins.plugin.Plugin.load` does.
    data_dir, cache_dir : Path, optional
        As for `outcomes`.

    Yields
    ------
    Outcome
        Only that of ``import`` or ``expected_failures`` where that fails.
    """
    step = "import"
    try:
        plugin_class = load()
        step = "expected_failures"
        yield from outcomes(plugin_class, data_dir, cache_dir)
    except InputError as error:
        yield Outcome(step, "FAILED", str(error))


def check_plugin(plugin_class: type, data_dir: str | Path | None = None) -> None:
    """Run every check on a method, a quantizer, a data set or a metric.

    Parameters
    ----------
    plugin_class : type
    data_dir : path-like, optional
        Where a data set's files are; without them, checks of the data are skipped.

    Raises
    ------
    AssertionError
        Some fail; the message lists each with its reason.
    InputError
        The plugin's ``expected_failures`` cannot be used.
    """
    failed = [outcome for outcome in outcomes(plugin_class, data_dir) if outcome.failed]
    if failed:
        raise AssertionError("\n".join(f"{outcome.name}: {outcome.reason}" for outcome in failed))


def parametrize_with_checks(plugin_classes: Iterable[type], data_dir: str | Path | None = None) -> Any:
    """Return a pytest decorator that runs a test once per plugin and check.

    A check that does not apply is skipped; one that the plugin expects to fail must fail.

    Parameters
    ----------
    plugin_classes : iterable of type
        Methods: the test gets ``method_class`` and ``check``, and calls ``check(method_class)``; quantizers likewise,
        ``quantizer_class``, and metrics, ``metric_class``. Or data sets: it gets ``trial`` and ``check``, and calls
        ``check(trial)``.
    data_dir : path-like, optional
        Where the data sets' files are.

    Raises
    ------
    TypeError
        There are several kinds among them; write one test for each kind.
    InputError
        The ``expected_failures`` of a plugin cannot be used.

    Examples
    --------
    ::

        @parametrize_with_checks([Mine])
        def test_mine(method_class, check):
            check(method_class)
    """
    import pytest

    classes: list[Any] = list(plugin_classes)
    kinds = {kind_of(plugin_class) for plugin_class in classes}
    if len(kinds) > 1:
        raise TypeError(
            "methods, quantizers, data sets and metrics get different arguments: write one test for each kind"
        )
    kind = min(kinds, default=METHODS)
    rows = []
    for plugin_class in classes:
        subject, expected = _subject(plugin_class, data_dir), expected_failures(plugin_class)
        for check in checks_of(kind):
            name, skip = check.__name__, check.does_not_apply(plugin_class)
            marks = [pytest.mark.skip(reason=skip)] if skip else []
            if name in expected:
                marks.append(pytest.mark.xfail(reason=expected[name], strict=True))
            rows.append(pytest.param(subject, check, id=f"{title_of(plugin_class)}-{name}", marks=marks))
    return pytest.mark.parametrize((ARGUMENTS[kind], "check"), rows)
