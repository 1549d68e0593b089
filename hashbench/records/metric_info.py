"""Information on a metric for reports, kept in records so that they are read without the plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hashbench.files.schema import Line, Prose

if TYPE_CHECKING:
    from hashbench.evaluation.metrics import Metric

Better = Literal["higher", "lower"]
ROUNDING = 1e-9
"""How far a mean may be outside the range of its values, since floating-point sums are not exact."""


@dataclass(frozen=True)
class MetricInfo:
    """A metric in words.

    Attributes
    ----------
    name : str
    title : str
        What it is, in a few words.
    axis : str
        The text of an axis.
    better : {"higher", "lower"}
    low, high : float or None
        The range of its values; None where there is no bound.
    source : str
        SHA-256 of the plugin that computes it; empty for hashbench's metrics, whose version is the record's engine.
    left_out : str
        Why it has no value in a record: what its code raised; empty where it has one.
    """

    name: str
    title: str
    axis: str
    better: Better = "higher"
    low: float | None = 0.0
    high: float | None = 1.0
    source: str = ""
    left_out: str = ""

    @classmethod
    def of(cls, metric: Metric, source: str = "") -> MetricInfo:
        """Return what a metric says of itself."""
        return cls(str(metric), metric.title, metric.axis, metric.better, metric.low, metric.high, source)

    @classmethod
    def kept(cls, name: str, fields: Mapping[str, Any]) -> MetricInfo:
        """Return what a record says of a metric."""
        return cls(name, **{key: fields[key] for key in AddedMetric.__annotations__ if key in fields})

    def fields(self) -> dict[str, Any]:
        """Return what a record keeps under the metric's name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}

    def beyond(self, value: float) -> str:
        """Return which bound of the range a value breaks, such as ``<= 1.0``; empty where it is in the range."""
        if self.low is not None and value < self.low - ROUNDING:
            return f">= {self.low}"
        return f"<= {self.high}" if self.high is not None and value > self.high + ROUNDING else ""


class AddedMetric(TypedDict):
    """What a record keeps of a metric that a run has added to its protocol's."""

    title: Line
    axis: Line
    better: Better
    low: float | None
    high: float | None
    source: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    left_out: NotRequired[Prose]
