"""What every metric is: a value whose text is its column name, and which is made again from that text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from hashbench.evaluation.counting.histograms import Histograms

KINDS: list[type[Metric]] = []
"""Every class of metrics, in the order in which they were defined."""


class Metric(ABC):
    """A ranking metric; a subclass that is defined is registered.

    A subclass is a frozen dataclass (``repr=False``) with ``__str__`` and `per_query`. Its fields are the groups of
    its ``pattern``; a group that is missing, or ``all``, leaves its field at the default.

    Attributes
    ----------
    pattern : str
        Regular expression of its names.
    forms : str
        Its names, for people, such as ``P@N``.
    graded : bool
        Whether it needs counts of shared labels where items have several.
    by_radius : bool
        Whether it asks for items within a Hamming radius.
    """

    pattern: ClassVar[str]
    forms: ClassVar[str]
    graded: ClassVar[bool] = False
    by_radius: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        KINDS.append(cls)

    def __post_init__(self) -> None:
        cutoff = getattr(self, "k", None)
        if cutoff is not None and cutoff < 1:
            raise ValueError(f"{self}: the cut-off must be at least 1")

    @abstractmethod
    def __str__(self) -> str:
        """Return the column name."""

    def __repr__(self) -> str:
        return str(self)

    @property
    def n_neighbors(self) -> int:
        """How many true nearest neighbours of each query it asks for; 0 where it does not ask."""
        return 0

    @abstractmethod
    def per_query(self, histograms: Histograms) -> np.ndarray:
        """Return one value per query, float64."""

    @classmethod
    def from_groups(cls, groups: dict[str, str | None]) -> Metric:
        """Return the metric that the pattern's groups describe."""
        given = {name: text for name, text in groups.items() if text not in (None, "all")}
        return cls(**{name: int(text) if text.isdigit() else text for name, text in given.items() if text})


def parse(name: str) -> Metric:
    """Return the metric of a column name, such as ``mAP@1000``, ``P@100`` or ``recall@10``.

    Raises
    ------
    ValueError
        No metric has that name, its cut-off is below 1, or the metric writes its name otherwise.
    """
    for kind in KINDS:
        match = re.fullmatch(kind.pattern, name, re.ASCII)
        if match is not None:
            metric = kind.from_groups(match.groupdict())
            if str(metric) != name:
                raise ValueError(f"unknown metric {name!r}: write {metric}")
            return metric
    raise ValueError(f"unknown metric {name!r}: expected {'; '.join(kind.forms for kind in KINDS)}")
