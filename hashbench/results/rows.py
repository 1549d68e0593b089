"""Rows of tables and figures: a method with its parameters at one code length, all seeds together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hashbench.records.record import Record
from hashbench.results.setting import grouped
from hashbench.results.verdicts import group_of, method_of

ASYMMETRIC = " asymmetric"
"""Ends the name of a method whose queries are real-valued, where a table has others."""


@dataclass(frozen=True)
class Row:
    """A method with its parameters at one code length.

    Attributes
    ----------
    label : str
        What the method is called; no other method of the table has that name.
    records : list of Record
        One per seed, lowest first.
    """

    label: str
    records: list[Record]

    @property
    def newest(self) -> Record:
        """The record that was made last."""
        return max(self.records, key=lambda record: record.date)

    @property
    def n_bits(self) -> int:
        """Code length."""
        return self.records[0].config["n_bits"]

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return self.records[0].n_bytes

    def values(self, metric: str) -> list[float]:
        """Return a metric of each seed that has it."""
        return [record.metrics[metric] for record in self.records if metric in record.metrics]

    def timing(self, name: str) -> float | None:
        """Return the median over seeds; None where no seed was timed."""
        known = [record.timings[name] for record in self.records if name in record.timings]
        return float(np.median(known)) if known else None


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds; None of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def rows_of(records: Iterable[Record], label: Callable[[Record], str] | None = None) -> list[Row]:
    """Return the rows of one setting, in the order in which the records give them.

    Parameters
    ----------
    records : iterable of Record
        A cell that is given twice, as under two spellings of its parameters, counts once.
    label : callable, optional
        Returns what a record's method is called; `label_of` by default.
    """
    once = list({record.id: record for record in records}.values())
    names = method_names(once, label or label_of)
    groups = grouped(once, group_of).values()
    return [Row(names[method_of(group[0])], sorted(group, key=_seed)) for group in groups]


def _seed(record: Record) -> int:
    return record.config["seed"] or 0


def label_of(record: Record) -> str:
    """Return what a record's method is called where Hamming's distances and others may stand in one table."""
    return record.label + (ASYMMETRIC if record.is_asymmetric and record.is_by_bytes else "")


def method_names(records: Iterable[Record], label: Callable[[Record], str]) -> dict[str, str]:
    """Return by `method_of` a name for each method of a table or figure, the same at all its code lengths.

    Parameters
    ----------
    records : iterable of Record
        Of one setting.
    label : callable
        Returns what a record's method is called; the newest record's holds. Where several methods have one, such as
        an edited plugin and what it was before, the begin of their code's SHA-256 tells them apart.
    """
    newest = {method_of(record): record for record in sorted(records, key=lambda record: record.date)}
    names: dict[str, str] = {}
    for shared, keys in sorted(grouped(newest, lambda key: label(newest[key])).items()):
        sources = {key: newest[key].config["source"] for key in keys}
        tails = sources if len(set(sources.values())) == len(keys) else dict(zip(keys, keys, strict=True))
        names |= {key: f"{shared} ({tails[key][:7]})" if len(keys) > 1 else shared for key in keys}
    return names
