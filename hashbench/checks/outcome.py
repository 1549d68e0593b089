"""How a check of a plugin ended, and the loop that runs checks one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hashbench.errors import describe_error
from hashbench.guard.plugin_code import plugin_code
from hashbench.guard.state import kept_state

Subject = TypeVar("Subject")


class FilesAreMissing(Exception):
    """A data set needs files that are not there: the check, and those after it, are skipped."""


@dataclass(frozen=True)
class Outcome:
    """How a check ended; ``reason`` is empty where it passed, and says why where it could not be run."""

    name: str
    reason: str
    skipped: bool = False

    @property
    def failed(self) -> bool:
        """Whether it was run and did not pass."""
        return bool(self.reason) and not self.skipped


def run_checks(
    checks: Sequence[Callable[[Subject], None]],
    subject: Subject,
    gate: Callable[[Subject], None] | None = None,
    behind_gate: str = "",
) -> Iterator[Outcome]:
    """Run checks one after the other and yield how each ended, whatever the plugin raises.

    Parameters
    ----------
    checks : sequence of callable
        A check raises AssertionError, or whatever the plugin does.
    subject : object
        What each check gets.
    gate : callable, optional
        The check without which those after it are useless.
    behind_gate : str
        Why they are skipped then.

    Yields
    ------
    Outcome
    """
    skipped = ""
    for check in checks:
        outcome = Outcome(check.__name__, skipped, skipped=True) if skipped else _run(check, subject)
        yield outcome
        if outcome.skipped:
            skipped = skipped or "its files are not there"
        elif outcome.failed and check is gate:
            skipped = behind_gate


def _run(check: Callable[[Subject], None], subject: Subject) -> Outcome:
    try:
        with kept_state(), plugin_code():
            check(subject)
    except FilesAreMissing as error:
        return Outcome(check.__name__, str(error), skipped=True)
    except AssertionError as error:
        return Outcome(check.__name__, str(error).partition("\n")[0] or "AssertionError")
    except Exception as error:
        return Outcome(check.__name__, describe_error(error))
    return Outcome(check.__name__, "")


def raise_failures(outcomes: Iterable[Outcome]) -> None:
    """Raise if a check failed.

    Raises
    ------
    AssertionError
        A check failed; the message lists every failed check with its reason.
    """
    failed = [outcome for outcome in outcomes if outcome.failed]
    if failed:
        raise AssertionError("\n".join(f"{outcome.name}: {outcome.reason}" for outcome in failed))
