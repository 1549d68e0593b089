"""Rows of tables, figures and leaderboards: a method with its parameters at one code length, all seeds together.

Means, deviations, medians and verdicts of a row are made here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashbench.evaluation.statistics import Comparison
from hashbench.records.metric_info import Better, MetricInfo
from hashbench.records.record import Record
from hashbench.results.metric_infos import infos_of
from hashbench.results.setting import grouped
from hashbench.results.verdicts import Verdicts, group_of, method_of

IMPORTED = " (imported)"
"""Ends the name of codes that another program has made."""
ASYMMETRIC = " asymmetric"
"""Suffix of a method whose queries are real-valued, where a table has others."""
NO_SEED = "none"
"""Replaces the seeds of a deterministic method."""
TIMINGS = (
    "features_s",
    "views_s",
    "fit_s",
    "encode_items_per_s",
    "encode_images_per_s",
    "search_queries_per_s",
    "top100_queries_per_s",
    "rescored_candidates_per_s",
)


@dataclass(frozen=True)
class Score:
    """A metric of a row.

    Attributes
    ----------
    mean : float
        Over queries and seeds.
    std : float or None
        Standard deviation over seeds; None of fewer than two.
    n_seeds : int
    low, high : float or None
        The 95% interval for new queries and new seeds; None where there is none.
    verdict : str
        ``best``, ``separable``, ``not separable`` or ``unknown``; empty where none was given.
    better : {"higher", "lower"}
        Which values of the metric are better.
    axis : str
        The text of an axis of the metric; empty where it is its name.
    """

    mean: float
    std: float | None = None
    n_seeds: int = 1
    low: float | None = None
    high: float | None = None
    verdict: str = ""
    better: Better = "higher"
    axis: str = ""

    @classmethod
    def over_seeds(
        cls, values: Sequence[float], compared: Comparison | None = None, info: MetricInfo | None = None
    ) -> Score:
        """Return the score of a metric's values, one per seed, and of the comparison with the best."""
        better: Better = "higher" if info is None else info.better
        axis = "" if info is None or info.axis == info.name else info.axis
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        mean = float(np.mean(values))
        if compared is None:
            return cls(mean, std, len(values), better=better, axis=axis)
        low, high = compared.interval if np.isfinite(compared.interval).all() else (None, None)
        return cls(mean, std, len(values), low, high, compared.verdict, better, axis)

    @property
    def merit(self) -> float:
        """The mean, with its sign turned where lower is better: more is better."""
        return -self.mean if self.better == "lower" else self.mean

    def text(self, plus_minus: str = "±") -> tuple[str, str]:
        """Return the mean with four digits, and the standard deviation after it where there is one."""
        return f"{self.mean:.4f}", "" if self.std is None else f" {plus_minus} {self.std:.4f}"


@dataclass(frozen=True)
class Row:
    """A method with its parameters at one code length.

    Attributes
    ----------
    label : str
        What the method is called; no other method of the table has that name.
    config : dict
        ``method``, ``source`` and ``params``.
    n_bits : int
    n_seeds : int
    seeds : str
        Ascending, or `NO_SEED`.
    scores : dict from str to Score
        By metric; empty where no seed ended well.
    timings : dict from str to float
        Medians over seeds.
    uses_labels : bool
    date : str
        Day of the newest seed, YYYY-MM-DD.
    records : tuple of Record
        One per seed, lowest first; empty where the row comes from a leaderboard.
    """

    label: str
    config: dict[str, Any]
    n_bits: int
    n_seeds: int = 1
    seeds: str = NO_SEED
    scores: dict[str, Score] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    uses_labels: bool = False
    date: str = ""
    records: tuple[Record, ...] = ()

    @classmethod
    def over_seeds(cls, label: str, records: Iterable[Record], compared: Mapping[str, Comparison] | None = None) -> Row:
        """Return the row of records that differ in their seed only.

        Parameters
        ----------
        label : str
        records : iterable of Record
        compared : mapping from str to Comparison
            By metric.
        """
        seeds = sorted(records, key=lambda record: record.config["seed"] or 0)
        newest = max(seeds, key=lambda record: record.date)
        compared, infos = compared or {}, infos_of(seeds)
        return cls(
            label=label,
            config={key: newest.config[key] for key in ("method", "source", "params")},
            n_bits=newest.config["n_bits"],
            n_seeds=len(seeds),
            seeds=_seeds_in_words(seeds),
            scores={
                metric: Score.over_seeds(values, compared.get(metric), infos[metric])
                for metric, values in _values(newest, seeds).items()
            },
            timings={name: median for name in TIMINGS if (median := _median(seeds, name)) is not None},
            uses_labels=newest.uses_labels,
            date=newest.date[:10],
            records=tuple(seeds),
        )

    @property
    def newest(self) -> Record:
        """The record that was made last."""
        return max(self.records, key=lambda record: record.date)

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return math.ceil(self.n_bits / 8)


def _seeds_in_words(records: Sequence[Record]) -> str:
    seeds = {record.config["seed"] for record in records}
    return NO_SEED if None in seeds else " ".join(map(str, sorted(seeds)))


def _values(newest: Record, records: Sequence[Record]) -> dict[str, list[float]]:
    """Return each metric's values, of the seeds that have it."""
    metrics = dict.fromkeys(name for record in (newest, *records) for name in record.metrics)
    return {metric: [record.metrics[metric] for record in records if metric in record.metrics] for metric in metrics}


def _median(records: Sequence[Record], timing: str) -> float | None:
    known = [record.timings[timing] for record in records if timing in record.timings]
    return float(np.median(known)) if known else None


def rows_of(
    records: Iterable[Record], label: Callable[[Record], str] | None = None, compared: Verdicts | None = None
) -> list[Row]:
    """Return the rows of one setting, in the order in which the records give them.

    Parameters
    ----------
    records : iterable of Record
        A cell that is given twice, as under two spellings of its parameters, counts once.
    label : callable, optional
        Returns what a record's method is called; `label_of` by default.
    compared : dict, optional
        From `hashbench.results.verdicts.verdicts`: rows then have intervals and verdicts.
    """
    once = list({record.id: record for record in records}.values())
    names = method_names(once, label or label_of)
    found = _by_group(compared or {})
    return [
        Row.over_seeds(names[method_of(group[0])], group, found.get(key))
        for key, group in grouped(once, group_of).items()
    ]


def _by_group(compared: Verdicts) -> dict[str, dict[str, Comparison]]:
    found: dict[str, dict[str, Comparison]] = {}
    for (group, metric), comparison in compared.items():
        found.setdefault(group, {})[metric] = comparison
    return found


def label_of(record: Record) -> str:
    """Return what a record's method is called where Hamming distances and others may be in one table."""
    return marked_label(record) + (ASYMMETRIC if record.is_asymmetric and record.is_by_bytes else "")


def marked_label(record: Record) -> str:
    """Return what a record's method is called, with a mark where its codes are imported."""
    return record.label + (IMPORTED if record.origin == "imported" else "")


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
