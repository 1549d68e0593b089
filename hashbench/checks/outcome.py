"""How a check of a plugin ended."""

from __future__ import annotations

from dataclasses import dataclass


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
