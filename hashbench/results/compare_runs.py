"""Differences between two runs, or two methods of one: paired by query, over seeds, with Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from hashbench.errors import InputError, did_you_mean
from hashbench.evaluation.statistics import ALPHA, holm
from hashbench.evaluation.variance import Sample, Variance
from hashbench.records.record import OWN, Record
from hashbench.records.store import Store
from hashbench.renamed import present_label
from hashbench.results.metric_infos import infos_of, of_one_version, shown_metrics
from hashbench.results.rows import Row, label_of, rows_of
from hashbench.results.setting import Named, Setting, file_of, grouped, named, settings_of
from hashbench.results.verdicts import method_of, per_query

SAME = {
    "data": "they were scored on different data or splits, so that their queries are not the same",
    "protocol_hash": "their protocols have one name and differ",
    "features": "their features were not made the same way",
    "engine": "their metrics come from versions of hashbench that count differently",
}
"""What two records must share to be paired by query, and what it means where they do not."""
Column = tuple[Setting, int]
"""A setting, whether or not labels were read in it or parameters tuned, and a code length."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the rows of a run's finished records, by setting and code length."""

    store: Store
    columns: dict[Column, list[Row]]

    @classmethod
    def of(cls, store: Store, other: Store) -> Side:
        """Read a run; where several methods have one label, such as edited plugins, the last is taken.

        The other side's methods say which features imported codes of this one can be compared by.
        """
        records = of_one_version([record for record in store if record.status == "ok"])
        columns: dict[Column, list[Record]] = {}
        for record, setting in zip(records, settings_of(records, other), strict=True):
            column = replace(setting, reads_labels=False, tuned=""), record.config["n_bits"]
            columns.setdefault(column, []).append(record)
        return cls(store, {column: _newest(members) for column, members in columns.items()})

    def refuse_unknown(self, label: str) -> None:
        """Raise if no finished record has a label."""
        labels = sorted({label for rows in self.columns.values() for row in rows for label in _labels(row)})
        if label not in labels:
            hint = did_you_mean(label, labels) or f"it has {', '.join(labels) or 'no finished cell'}"
            raise InputError(f"--methods: {self.store.directory} has no finished cell of {label!r}; {hint}")


def _labels(row: Row) -> set[str]:
    """Return what the user has called a row's method; one cell can be written in several ways."""
    return {record.label for record in row.records}


def _newest(records: Sequence[Record]) -> list[Row]:
    same = grouped(rows_of(records), lambda row: (row.newest.label, row.newest.distance))
    return [max(rows, key=lambda row: row.newest.date) for rows in same.values()]


def compare_runs(first: Store, second: Store, methods: Sequence[str] = (), metrics: Sequence[str] = ()) -> pd.DataFrame:
    """Compare what two runs have in common.

    Parameters
    ----------
    first, second : Store
        A and B; one run may be both.
    methods : sequence of str
        Labels: one that both have, or A's and B's; all that both have by default.
    metrics : sequence of str
        The headline ones by default.

    Returns
    -------
    pandas.DataFrame
        A row per setting (``dataset``, ``protocol`` and ``backbone`` name it), code length, metric and pair of
        methods. ``difference`` is B's mean minus A's over seeds and queries, ``low`` and ``high`` its 95% interval,
        ``p`` its two-sided p value and ``p_holm`` that corrected for all rows; NaN where one seed of a random method
        cannot tell. ``better`` says which values of the metric are better. ``verdict`` names the better one: it is
        ``A higher`` or ``B higher``, where lower values are better ``A lower`` or ``B lower``, else ``not separable``
        or ``unknown``.

    Raises
    ------
    InputError
        The runs have nothing in common, or what they share cannot be paired by query.
    """
    a, b = Side.of(first, second), Side.of(second, first)
    labels = [label for side in (a, b) for rows in side.columns.values() for row in rows for label in _labels(row)]
    methods = [present_label(method, known=labels) for method in methods]
    if len(methods) > 2 or (len(methods) < 2 and first.directory == second.directory):
        raise InputError("compare two runs, or name two methods of one: --methods A,B")
    for side, label in zip((a, b), (*methods[:1], *methods[-1:]), strict=False):
        side.refuse_unknown(label)
    shared = [column for column in a.columns if column in b.columns and list(_pairs(a, b, column, column, methods))]
    if not shared:
        raise InputError(_why_nothing_is_shared(a, b, methods))
    settings = named({setting: _file_of(setting, a, b) for setting, _ in [*a.columns, *b.columns]})
    rows = [row for one in shared for row in _rows(one, settings, a, b, methods, metrics)]
    if not rows:
        known = sorted({name for row in a.columns[shared[0]] for name in row.newest.metrics})
        raise InputError(f"this version knows no metric to compare by default; name one: --metrics {known[0]!r}")
    return _with_verdicts(pd.DataFrame(rows))


def _file_of(setting: Setting, *sides: Side) -> str:
    rows = [row for side in sides for (of, _), rows in side.columns.items() if of == setting for row in rows]
    return file_of(record for row in rows for record in row.records)


def _pairs(a: Side, b: Side, ours: Column, theirs: Column, names: Sequence[str]) -> Iterator[tuple[Row, Row]]:
    """Yield the rows of two columns that are compared: those that are asked for, or of one method.

    Codes are compared under one distance; a quantizer's, which has its own, with any.
    """
    for row, other in product(a.columns[ours], b.columns[theirs]):
        distances = {row.newest.distance, other.newest.distance}
        if names:
            wanted = names[0] in _labels(row) and names[-1] in _labels(other)
        else:
            wanted = bool(_labels(row) & _labels(other)) or method_of(row.newest) == method_of(other.newest)
        if wanted and (len(distances) == 1 or OWN in distances):
            yield row, other


def _why_nothing_is_shared(a: Side, b: Side, names: Sequence[str]) -> str:
    """Return why no row of one side can be paired with one of the other: what differs in those that are nearest."""
    for (ours, n_bits), (theirs, other_bits) in product(a.columns, b.columns):
        alike = (ours.dataset, ours.protocol, n_bits) == (theirs.dataset, theirs.protocol, other_bits)
        for row, other in _pairs(a, b, (ours, n_bits), (theirs, other_bits), names) if alike else ():
            for key, why in SAME.items():
                one, two = str(getattr(ours, key)), str(getattr(theirs, key))
                if one != two and (key != "features" or row.newest.backbone == other.newest.backbone):
                    both = named({ours: _file_of(ours, a, b), theirs: _file_of(theirs, a, b)})
                    return (
                        f"{ours.protocol}: {row.newest.title} and {other.newest.title} cannot be compared: {why} "
                        f"({_differing(key, both[ours], both[theirs], one, two)})"
                    )
    return (
        f"{a.store.directory} and {b.store.directory} have no finished cells of the same data set, protocol, "
        "backbone, code length and method"
    )


def _differing(key: str, ours: Named, theirs: Named, one: str, two: str) -> str:
    if key == "features":
        return f"{ours.backbone} and {theirs.backbone}"
    return f"{one[:12]} and {two[:12]}"


def _rows(
    column: Column, settings: Mapping[Setting, Named], a: Side, b: Side, names: Sequence[str], requested: Sequence[str]
) -> Iterator[dict[str, object]]:
    setting, n_bits = column
    for pair in _pairs(a, b, column, column, names):
        each = [record for row in pair for record in row.records]
        shared = [name for name in each[0].metrics if all(name in record.metrics for record in each)]
        for name in requested:
            if name not in shared:
                hint = did_you_mean(name, shared) or f"it has {', '.join(shared)}"
                raise InputError(f"--metrics: {setting.protocol} was not scored by {name!r}; {hint}")
        infos = infos_of(each)
        for metric in requested or [name for name in shown_metrics(each) if name in shared]:
            _refuse_two_versions(metric, each)
            yield {
                **vars(settings[setting]),
                "n_bits": n_bits,
                "metric": metric,
                "better": infos[metric].better,
                **_difference(metric, pair, (a.store, b.store)),
            }


def _refuse_two_versions(metric: str, records: Sequence[Record]) -> None:
    """Raise if a metric was computed by different code of its plugin."""
    if len({record.added[metric].source if metric in record.added else "" for record in records}) > 1:
        raise InputError(
            f"--metrics: {metric!r} was not computed by the same code on both sides; run both with --metrics"
        )


def _difference(metric: str, pair: tuple[Row, Row], stores: tuple[Store, Store]) -> dict[str, object]:
    values = [per_query(row.records, [metric], store)[metric] for row, store in zip(pair, stores, strict=True)]
    a, b = (Sample.of(np.asarray(one, np.float64)) for one in values)
    difference = Variance.of_difference(b, a)
    low, high = difference.interval(ALPHA)
    return {
        "method_a": label_of(pair[0].newest),
        "method_b": label_of(pair[1].newest),
        "seeds_a": len(pair[0].records),
        "seeds_b": len(pair[1].records),
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
    lower = frame["better"] == "lower"
    b_is_better = (frame["difference"] > 0) != lower
    kinds = [~known, real & b_is_better & ~lower, real & ~b_is_better & ~lower, real & b_is_better, real]
    names = ["unknown", "B higher", "A higher", "B lower", "A lower"]
    frame["verdict"] = np.select(kinds, names, "not separable")
    return frame.sort_values(["dataset", "protocol", "backbone", "metric", "method_a", "n_bits"], ignore_index=True)
