"""A table of methods against code lengths: which score is the best of its column, and which are as good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hashbench.errors import InputError, did_you_mean
from hashbench.records.metric_info import Better
from hashbench.renamed import present_label
from hashbench.results.rows import IMPORTED, Score

BEST, AS_GOOD = "best", "not separable"


@dataclass(frozen=True)
class Grid:
    """Scores by one metric in one setting, code length apart.

    Attributes
    ----------
    dataset, protocol, backbone, metric : str
    scores : dict of dict
        By method, then by code length; what was not measured is missing.
    """

    dataset: str
    protocol: str
    backbone: str
    metric: str
    scores: dict[str, dict[int, Score]]

    @property
    def bits(self) -> list[int]:
        """Code lengths, ascending."""
        return sorted({n_bits for row in self.scores.values() for n_bits in row})

    @property
    def title(self) -> str:
        """What the table shows, in words."""
        direction = " (lower is better)" if self.better == "lower" else ""
        return f"{self.metric}{direction} on {self.dataset} ({self.protocol}), features: {self.backbone}"

    @property
    def better(self) -> Better:
        """Which values are better."""
        return next((score.better for row in self.scores.values() for score in row.values()), "higher")

    def is_best(self, method: str, n_bits: int) -> bool:
        """Return whether no method of the table has a better mean at a code length."""
        column = self._column(n_bits)
        return column[method].merit == max(score.merit for score in column.values())

    def is_as_good(self, method: str, n_bits: int) -> bool:
        """Return whether a score is not separable from the best; nothing is where the best is not in the table."""
        column = self._column(n_bits)
        there = any(score.verdict == BEST for score in column.values())
        return there and column[method].verdict == AS_GOOD and not self.is_best(method, n_bits)

    def _column(self, n_bits: int) -> dict[str, Score]:
        return {method: row[n_bits] for method, row in self.scores.items() if n_bits in row}

    @property
    def notes(self) -> list[str]:
        """What a reader of the table must know."""
        each = [(method, n_bits) for method, row in self.scores.items() for n_bits in row]
        notes = [f"Bold: the {self.better.replace('er', 'est')} mean of a column."]
        if any(self.is_as_good(*one) for one in each):
            notes.append("*: not separable from it (seeds and queries; corrected for its choice, 5%).")
        notes += self._seeds_note
        if any(not self._is_judged(n_bits) for n_bits in self.bits):
            notes.append("Where no verdict is at hand, nothing is marked.")
        return notes

    @property
    def _seeds_note(self) -> list[str]:
        """Over how many seeds means are: the usual number, and by name the scores that have another."""
        by_number: dict[int, dict[str, list[int]]] = {}
        for method, row in self.scores.items():
            for n_bits, score in sorted(row.items()):
                if score.n_seeds > 1:
                    by_number.setdefault(score.n_seeds, {}).setdefault(method, []).append(n_bits)
        if not by_number:
            return []
        usual = max(by_number, key=lambda number: (sum(map(len, by_number[number].values())), number))
        others = [
            f"; over {number}: {', '.join(self._which(method, lengths) for method, lengths in methods.items())}"
            for number, methods in sorted(by_number.items())
            if number != usual
        ]
        return [f"Mean ± standard deviation over {usual} seeds{''.join(others)}."]

    def _which(self, method: str, lengths: list[int]) -> str:
        """Return a method, and at which code lengths where it has others."""
        whole = len(lengths) == len(self.scores[method])
        return method if whole else f"{method} ({', '.join(map(str, lengths))} bits)"

    def _is_judged(self, n_bits: int) -> bool:
        column = self._column(n_bits).values()
        return len(column) == 1 or any(score.verdict == BEST for score in column)


def chosen(grids: Iterable[Grid], methods: Sequence[str], bits: Sequence[int]) -> list[Grid]:
    """Return tables with the methods and code lengths that are asked for, methods in that order; all where none is.

    Raises
    ------
    InputError
        No table has a requested method or code length, or no requested method was measured at any requested code
        length.
    """
    grids = list(grids)
    labels = sorted({method for grid in grids for method in grid.scores})
    methods = [present_label(method, known=labels) for method in methods]
    marked = {label.removesuffix(IMPORTED): label for label in labels if label.endswith(IMPORTED)}
    methods = [method if method in labels else marked.get(method, method) for method in methods]
    for method in methods:
        if method not in labels:
            hint = did_you_mean(method, labels) or f"there is {', '.join(labels)}"
            raise InputError(f"--methods: nothing was measured of {method!r}; {hint}")
    lengths = sorted({n_bits for grid in grids for n_bits in grid.bits})
    for n_bits in bits:
        if n_bits not in lengths:
            raise InputError(f"--bits: nothing was measured at {n_bits} bits; there is {', '.join(map(str, lengths))}")
    parts = [replace(grid, scores=_part(grid.scores, methods, bits)) for grid in grids]
    kept = [grid for grid in parts if grid.scores]
    if grids and not kept:
        requested = f"--methods {','.join(methods)} --bits {','.join(map(str, bits))}"
        raise InputError(f"{requested}: nothing was measured of both together")
    return kept


def _part(
    scores: dict[str, dict[int, Score]], methods: Sequence[str], bits: Sequence[int]
) -> dict[str, dict[int, Score]]:
    rows = {method: scores[method] for method in methods or scores if method in scores}
    rows = {
        method: {n_bits: score for n_bits, score in row.items() if not bits or n_bits in bits}
        for method, row in rows.items()
    }
    return {method: row for method, row in rows.items() if row}
