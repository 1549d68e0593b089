"""What reports need to know of a metric, kept in records so that nobody needs the plugin to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hashbench.files.schema import Line, Prose

if TYPE_CHECKING:
    from hashbench.evaluation.metrics import Metric

Better = Literal["higher", "lower"]


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

    def holds(self, value: float) -> bool:
        """Return whether a value is in the range; means of rounded values may be beyond it by as much."""
        low, high = (-1e300 if self.low is None else self.low), (1e300 if self.high is None else self.high)
        return low - 1e-9 <= value <= high + 1e-9


class AddedMetric(TypedDict):
    """What a record keeps of a metric that a run has added to its protocol's."""

    title: Line
    axis: Line
    better: Better
    low: float | None
    high: float | None
    source: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    left_out: NotRequired[Prose]
