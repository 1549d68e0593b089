"""Finds metrics by their names: hashbench's, and those of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hashbench.errors import InputError, did_you_mean, shorten
from hashbench.evaluation.metrics import KINDS, Metric, MetricReading, named
from hashbench.evaluation.readings import split_reading
from hashbench.files.paths import printable
from hashbench.guard.plugin_code import failure_of, plugin_code
from hashbench.plugins.registry import Registry

LONGEST = 100
"""Characters of a name."""


@dataclass(frozen=True)
class Found:
    """A metric, and where it is from.

    Attributes
    ----------
    metric : Metric
    origin : str
        ``hashbench``, or a plugin's file or package.
    source : str
        SHA-256 of the plugin; empty for hashbench's metrics.
    """

    metric: Metric
    origin: str = "hashbench"
    source: str = ""


@dataclass(frozen=True)
class _Kind:
    """A class of metrics, and where it is from."""

    kind: type[Metric]
    origin: str = "hashbench"
    source: str = ""

    def found(self, name: str) -> Found | None:
        """Return the metric of a name; None where the class has no such names."""
        try:
            with plugin_code():
                metric = named(self.kind, name)
        except ValueError as error:
            raise InputError(f"--metrics: {error}") from error
        except Exception as error:
            raise InputError(
                f"--metrics {shorten(name)} ({self.origin}) cannot be made: {failure_of(error)}"
            ) from error
        return None if metric is None else Found(metric, self.origin, self.source)


def find_metrics(names: Iterable[str], registry: Registry) -> list[Found]:
    """Return the metrics of these names.

    Raises
    ------
    InputError
        No metric has a name, two have it, or a file of metrics that the user names cannot be imported.
    """
    names = list(names)
    if not names:
        return []
    kinds, broken = _kinds(registry)
    return [_find(name, kinds, broken) for name in names]


def _find(name: str, kinds: Sequence[_Kind], broken: Sequence[InputError]) -> Found:
    if printable(name, LONGEST) != name:
        raise InputError(
            f"--metrics {shorten(printable(name, LONGEST))}: expected at most {LONGEST} printable characters"
        )
    plain, reading = split_reading(name)
    found = [one for kind in kinds if (one := kind.found(plain)) is not None]
    if len(found) > 1:
        raise InputError(
            f"--metrics: two metrics are named {name!r}: that of {found[0].origin} and that of {found[1].origin}; "
            "rename one"
        )
    if found:
        metric = found[0].metric
        return replace(found[0], metric=MetricReading(metric, reading)) if reading else found[0]
    if broken:
        raise broken[0]
    examples = [example for one in kinds for example in getattr(one.kind, "examples", ())]
    forms = "; ".join(str(getattr(one.kind, "forms", one.origin)) for one in kinds)
    raise InputError(
        f"--metrics: unknown metric {shorten(name)!r}; {did_you_mean(name, examples) or f'known: {forms}'}"
    )


def _kinds(registry: Registry) -> tuple[list[_Kind], list[InputError]]:
    """Return all classes of metrics, and why those of installed packages cannot be imported."""
    kinds, broken = [_Kind(kind) for kind in KINDS], []
    for plugin in registry.plugins("metrics").values():
        try:
            kinds.append(_Kind(plugin.load(), plugin.origin, plugin.source_hash))
        except InputError as error:
            if plugin.is_extra:
                raise
            broken.append(error)
    return kinds, broken
