"""What a check has found: a line for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes
    ----------
    text : str
        One line, with numbers.
    is_problem : bool
        Whether scores mean something else because of it; otherwise it is a fact or a hint.
    """

    text: str
    is_problem: bool = False

    def __str__(self) -> str:
        """Return the line, problems marked as such."""
        return f"problem: {self.text}" if self.is_problem else self.text


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that are problems."""
    return [finding for finding in findings if finding.is_problem]
