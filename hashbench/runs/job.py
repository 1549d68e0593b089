"""One cell of a grid, resolved: what is computed, on what, and everything that decides the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.data.protocol import BY_BYTES
from hashbench.files.hashing import canonical_hash

if TYPE_CHECKING:
    from hashbench.records.metric_info import MetricInfo
    from hashbench.records.record import Record


@dataclass(frozen=True)
class Setting:
    """What cells share: a data set under a protocol, through a backbone; None is the data set's default.

    Attributes
    ----------
    dataset : str
    protocol : str or None
    backbone : str or None
    data_dir, splits : Path or None
        Where its files and its lists are.
    """

    dataset: str
    protocol: str | None = None
    backbone: str | None = None
    data_dir: Path | None = None
    splits: Path | None = None


@dataclass(frozen=True)
class Needs:
    """What a cell has to be given.

    Attributes
    ----------
    extras : tuple of str
        What its method's ``fit`` asks for, names of `hashbench.contract.fit_extras.FIT_EXTRAS`.
    n_views, views_seed : int or None
        Of the view pool, where it needs one.
    """

    extras: tuple[str, ...] = ()
    n_views: int | None = None
    views_seed: int | None = None


@dataclass(frozen=True)
class Job:
    """One (method with its parameters, n_bits, seed) on one data set; plain values only.

    Attributes
    ----------
    label : str
        The method as the user wrote it.
    params : dict
        What ``__init__`` gets: the parameters that the user gave, and those that a run sets.
    setting : Setting
    config : dict
        Everything that decides the result; no paths, nothing of the machine.
    provenance : str
        Whether the data is the publisher's or a copy.
    needs : Needs
    skip : str
        Why it cannot be run on this data; empty where it can.
    broken : str
        Why its method cannot even be made; empty where it can.
    kind : {"methods", "quantizers"}
        Of its method's plugin.
    distance : {"hamming", "asymmetric", "own"}
        By what its codes are ranked; ``own`` is a quantizer's.
    metrics : tuple of str
        What it is scored by: its protocol's.
    added : tuple of MetricInfo
        The metrics that the run adds to these; they are no part of ``config``.
    feature_recall : MetricInfo or None
        A recall of the features' true neighbours by which it is scored as well, where relevance is by labels.
    uses_labels : bool
        Whether its training, or the choice of its epoch, reads labels.
    dims : int or None
        How many of their first dimensions its vectors keep; None where they are not cut.
    read : tuple of str
        What was read of the data, in a line or two.
    """

    label: str
    params: dict[str, Any]
    setting: Setting
    config: dict[str, Any]
    provenance: str
    needs: Needs = field(default_factory=Needs)
    skip: str = ""
    broken: str = ""
    kind: str = "methods"
    distance: str = "hamming"
    metrics: tuple[str, ...] = ()
    added: tuple[MetricInfo, ...] = ()
    feature_recall: MetricInfo | None = None
    uses_labels: bool = False
    dims: int | None = None
    read: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """SHA-256 of the configuration."""
        return canonical_hash(self.config)

    @property
    def method(self) -> str:
        """Name of the method's plugin."""
        return self.config["method"]

    @property
    def n_bits(self) -> int:
        """Code length in bits."""
        return self.config["n_bits"]

    @property
    def seed(self) -> int | None:
        """The seed; None for a deterministic method."""
        return self.config["seed"]

    @property
    def title(self) -> str:
        """The cell in words."""
        ranked = " asymmetric" if self.distance == "asymmetric" else ""
        return f"{self.label} {self.n_bits} bits" + ("" if self.seed is None else f" seed {self.seed}") + ranked

    @property
    def is_by_bytes(self) -> bool:
        """Whether recall for bytes is measured, and so the time of a search on one core."""
        return self.config["protocol"].endswith(BY_BYTES)

    @property
    def fit_id(self) -> str:
        """SHA-256 of what decides the trained method: jobs that differ in their distance share it."""
        return canonical_hash(
            {key: value for key, value in self.config.items() if not key.startswith("protocol") and key != "distance"}
        )

    def lacks(self, record: Record, retry_failed: bool) -> list[str]:
        """Return the names of added metrics that a record lacks, or has of an earlier version of their plugin."""
        return [info.name for info in self.added if _lacks(record.added.get(info.name), info, retry_failed)]


def _lacks(kept: MetricInfo | None, info: MetricInfo, retry_failed: bool) -> bool:
    return kept is None or kept.source != info.source or (retry_failed and bool(kept.left_out))


def training_views(jobs: Sequence[Job]) -> Iterator[tuple[Setting, int, int]]:
    """Yield the largest view pool of each setting and seed of views that jobs need."""
    most: dict[tuple[Setting, int], int] = {}
    for job in jobs:
        if job.needs.n_views is not None and job.needs.views_seed is not None:
            key = (job.setting, job.needs.views_seed)
            most[key] = max(most.get(key, 0), job.needs.n_views)
    for (setting, views_seed), n_views in most.items():
        yield setting, n_views, views_seed
