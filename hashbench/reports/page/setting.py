"""Settings of a page: each is a table of methods that may be compared, whatever it was read from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hashbench.evaluation.metrics import headline
from hashbench.files.paths import printable
from hashbench.records.store import Store
from hashbench.reports.leaderboards.cell_values import is_metric
from hashbench.results.rows import Row


@dataclass(frozen=True)
class Setting:
    """Rows that agree in data, split, protocol and features.

    Attributes
    ----------
    dataset, protocol, backbone, provenance : str
    origin : str
        The file or directory that it was read from.
    command : str
        What made the numbers.
    facts : dict from str to str
        What all rows have in common, in full.
    rows : list of Row
    evidence : list of dict from str to str
        Where each number comes from: a line per record, or per row of a leaderboard.
    notes : list of str
        What a reader must know besides the numbers.
    store : Store or None
        Path of the records' arrays.
    """

    dataset: str
    protocol: str
    backbone: str
    provenance: str
    origin: str
    command: str
    facts: dict[str, str]
    rows: list[Row]
    evidence: list[dict[str, str]]
    notes: list[str] = field(default_factory=list)
    store: Store | None = None

    @property
    def title(self) -> str:
        """The setting in words."""
        return shown(f"{self.dataset} · {self.protocol} · {self.backbone}")

    @property
    def bits(self) -> list[int]:
        """Code lengths, ascending."""
        return sorted({row.n_bits for row in self.rows})

    @property
    def labels(self) -> list[str]:
        """Labels of the methods, in order."""
        return sorted({row.label for row in self.rows})

    @cached_property
    def headline(self) -> list[str]:
        """The metrics that get figures: the headline ones, and those that the run has added."""
        first = headline(self._known)
        return [*first, *sorted((self._added & self._known) - set(first))]

    @property
    def axes(self) -> dict[str, str]:
        """The text of each metric's axis."""
        return {name: shown(score.axis or name) for row in self.rows for name, score in row.scores.items()}

    @property
    def lower_is_better(self) -> list[str]:
        """The metrics of which lower values are better."""
        return sorted({name for row in self.rows for name, score in row.scores.items() if score.better == "lower"})

    @property
    def metrics(self) -> list[str]:
        """All metrics, those of the headline first."""
        return [*self.headline, *sorted(self._known - set(self.headline))]

    @property
    def is_by_bytes(self) -> bool:
        """Whether it is of recall for bytes."""
        return any(record.is_by_bytes for row in self.rows for record in row.records)

    @cached_property
    def _added(self) -> set[str]:
        return {name for row in self.rows for record in row.records for name in record.added_metrics}

    @cached_property
    def _known(self) -> set[str]:
        """The metrics that this version has, and the added ones, which records explain."""
        names = {name for row in self.rows for name in row.scores}
        return {name for name in names if name in self._added or is_metric(name)}


def shown(text: object) -> str:
    """Return a text as one line in which each character can be seen, of whatever length."""
    return printable(str(text), sys.maxsize)


def listed(values: Mapping[str, Any]) -> str:
    """Return a mapping as one line: ``name=value, name=value``."""
    return shown(", ".join(f"{name}={value}" for name, value in values.items()))
