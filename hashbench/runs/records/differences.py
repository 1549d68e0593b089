"""Differences between two runs, or two methods of one: paired by query, over seeds, with Holm's correction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from hashbench.errors import InputError, did_you_mean
from hashbench.evaluation.metrics import headline
from hashbench.evaluation.statistics import ALPHA, holm
from hashbench.evaluation.variance import Sample, Variance
from hashbench.runs.asked.grid import split_names
from hashbench.runs.records.record import Record
from hashbench.runs.records.store import Store
from hashbench.runs.records.verdicts import group_of, per_query

SAME = {
    "data": "they were scored on different data or splits, so that their queries are not the same",
    "protocol_hash": "their protocols have one name and differ",
    "engine": "their metrics come from versions of hashbench that count differently",
}
"""What two records must share to be paired by query, and what it means where they do not."""
Setting = tuple[str, str, str, int]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a run's finished records by data set, protocol, backbone and code length, by label."""

    store: Store
    by_setting: dict[Setting, dict[str, list[Record]]]

    @classmethod
    def of(cls, store: Store) -> Side:
        """Read a run."""
        by_setting: dict[Setting, dict[str, list[Record]]] = {}
        for record in store:
            if record.status == "ok":
                config = record.config
                setting = (config["dataset"], config["protocol"], record.backbone, config["n_bits"])
                by_setting.setdefault(setting, {}).setdefault(record.label, []).append(record)
        return cls(store, {key: {label: _newest(of) for label, of in one.items()} for key, one in by_setting.items()})

    def refuse_unknown(self, label: str) -> None:
        """Raise if no finished record has a label."""
        labels = sorted({label for one in self.by_setting.values() for label in one})
        if label not in labels:
            hint = did_you_mean(label, labels) or f"it has {', '.join(labels) or 'no finished cell'}"
            raise InputError(f"--methods: {self.store.directory} has no finished cell of {label!r}; {hint}")


def _newest(records: Sequence[Record]) -> list[Record]:
    """Return the seeds of one configuration: where a label stands for several, such as of edited plugins, the last."""
    last = group_of(max(records, key=lambda record: record.date))
    return sorted((one for one in records if group_of(one) == last), key=lambda one: one.config["seed"] or 0)


def compare_runs(first: Store, second: Store, methods: str = "", metrics: str = "") -> pd.DataFrame:
    """Compare what two runs have in common.

    Parameters
    ----------
    first, second : Store
        A and B; one run may be both.
    methods : str
        Comma-separated labels: one that both have, or A's and B's; all that both have by default.
    metrics : str
        Comma-separated; the headline ones by default.

    Returns
    -------
    pandas.DataFrame
        A row per data set, protocol, backbone, code length, metric and pair of methods. ``difference`` is B's mean
        minus A's over seeds and queries, ``low`` and ``high`` its 95% interval, ``p`` its two-sided p value and
        ``p_holm`` that corrected for all rows; NaN where one seed of a random method cannot tell. ``verdict`` is
        ``A higher``, ``B higher``, ``not separable`` or ``unknown``.

    Raises
    ------
    InputError
        They have nothing in common, or what they have cannot be paired by query.
    """
    a, b = Side.of(first), Side.of(second)
    names = split_names(methods, "--methods") if methods else []
    if len(names) > 2 or (len(names) < 2 and first.directory == second.directory):
        raise InputError("compare two runs, or name two methods of one: --methods A,B")
    for side, label in zip((a, b), (names[:1] + names[-1:]), strict=False):
        side.refuse_unknown(label)
    asked = split_names(metrics, "--metrics") if metrics else []
    rows = [row for setting in a.by_setting for row in _rows(setting, a, b, names, asked)]
    if not rows:
        raise InputError(
            f"{first.directory} and {second.directory} have no finished cells of the same data set, protocol, "
            "backbone, code length and method"
        )
    return _with_verdicts(pd.DataFrame(rows))


def _rows(setting: Setting, a: Side, b: Side, names: list[str], asked: list[str]) -> Iterable[dict[str, object]]:
    ours, theirs = a.by_setting[setting], b.by_setting.get(setting, {})
    pairs = [(names[0], names[-1])] if names else [(label, label) for label in ours]
    for label_a, label_b in pairs:
        if label_a not in ours or label_b not in theirs:
            continue
        records = ours[label_a], theirs[label_b]
        _refuse_unpaired(setting, records)
        shared = [name for name in records[0][0].metrics if all(name in one.metrics for of in records for one in of)]
        for name in asked:
            if name not in shared:
                hint = did_you_mean(name, shared) or f"it has {', '.join(shared)}"
                raise InputError(f"--metrics: {setting[1]} was not scored by {name!r}; {hint}")
        for metric in asked or headline(shared):
            identity = dict(zip(("dataset", "protocol", "backbone", "n_bits"), setting, strict=True))
            yield {**identity, "metric": metric, **_difference(metric, records, (a.store, b.store))}


def _refuse_unpaired(setting: Setting, records: tuple[list[Record], list[Record]]) -> None:
    for one, other in product(*records):
        for key, why in SAME.items():
            if one.config[key] != other.config[key]:
                raise InputError(
                    f"{setting[1]}: {one.title} and {other.title} cannot be compared: {why} "
                    f"({str(one.config[key])[:12]} and {str(other.config[key])[:12]})"
                )


def _difference(
    metric: str, records: tuple[list[Record], list[Record]], stores: tuple[Store, Store]
) -> dict[str, object]:
    values = [per_query(of, [metric], store)[metric] for of, store in zip(records, stores, strict=True)]
    a, b = (Sample.of(np.asarray(one, np.float64)) for one in values)
    difference = Variance.of_difference(b, a)
    low, high = difference.interval(ALPHA)
    return {
        "method_a": records[0][0].label,
        "method_b": records[1][0].label,
        "seeds_a": len(records[0]),
        "seeds_b": len(records[1]),
        "mean_a": float(a.by_query.mean()),
        "mean_b": float(b.by_query.mean()),
        "difference": difference.estimate,
        "low": low,
        "high": high,
        "p": difference.p_value,
    }


def _with_verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the p values corrected for their number, and what they say."""
    frame["p_holm"] = np.nan
    known = frame["p"].notna()
    frame.loc[known, "p_holm"] = holm(frame.loc[known, "p"].to_numpy())
    real = frame["p_holm"] <= ALPHA
    kinds = [~known, real & (frame["difference"] > 0), real & (frame["difference"] < 0)]
    frame["verdict"] = np.select(kinds, ["unknown", "B higher", "A higher"], "not separable")
    return frame.sort_values(["dataset", "protocol", "backbone", "metric", "method_a", "n_bits"], ignore_index=True)
