"""Training on pairs of a batch's rows: each of the first half with one of the second."""

from __future__ import annotations

from hashbench.learning.centred import CentredMethod


class PairMethod(CentredMethod):
    """Base class of a method whose loss compares a batch's first half with its second.

    A batch of two rows has a single pair, whose normalised or ranked values would be constant.
    """

    def rows_used(self, n_rows: int) -> int:
        """Leave out the last row of an odd batch: it has no partner."""
        n_used = super().rows_used(n_rows)
        return n_used - n_used % 2

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges; every row of a batch needs a partner."""
        even = self.batch_size >= 4 and self.batch_size % 2 == 0
        expected = "an even number of at least 4, as rows are taken in pairs"
        return [*super().limits(n_items, device, devices), ("batch_size", even, expected)]
