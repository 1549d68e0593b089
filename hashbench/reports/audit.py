"""Scores stored codes under every convention of the literature: how far apart one set of codes can read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from hashbench.errors import InputError
from hashbench.evaluation.conventions import CUTOFFS, conventions
from hashbench.evaluation.metrics import MAP, parse
from hashbench.files.writing import as_input_error, csv_safe, table_bytes, write_atomically
from hashbench.progress import to_stderr
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.console import new_table, print_title
from hashbench.results.rows import rows_of
from hashbench.results.setting import by_setting, file_of, named

IDENTITY = ["dataset", "protocol", "backbone", "method", "source", "n_bits"]
"""What records must agree in to be one method at one length, seeds apart; the first three name their setting."""
CONVENTION = ["cutoff", "divisor", "ties", "without_hit"]
NOT_AUDITED = (
    "scored by true neighbours, by real-valued queries, by seen and unseen classes, or a quantizer's; the conventions "
    "that are audited are those of mAP by labels and Hamming distance"
)


def audit(
    store: Store, advance: Callable[[int], object] = lambda n: None, log: Callable[[str], object] = to_stderr
) -> pd.DataFrame:
    """Score the codes of each record of a run under every convention.

    Parameters
    ----------
    store : Store
    advance : callable
        Called with 1 after each record.
    log : callable
        Called with a line for records that are left out: those that neither labels alone nor Hamming distance score.

    Returns
    -------
    pandas.DataFrame
        A row per record and convention, at the cut-offs of the record's own metrics and those of
        `hashbench.evaluation.conventions.CUTOFFS`: the columns of `IDENTITY`, ``seed`` and ``id``; ``hashbench``,
        the record's own value at the smallest cut-off that it has, and ``hashbench_metric``, that metric's
        name; those of `CONVENTION`, and ``mAP``, as `conventions` has them.

    Raises
    ------
    InputError
        No record has codes and labels, or the labels are missing or do not fit the codes.
    """
    records = [record for record in store if record.status == "ok"]
    if not records:
        raise InputError(f"{store.directory} holds no record that ended well: there are no codes to audit")
    relevance_of = {data: store.relevance(data) for data in {record.config["data"] for record in records}}
    labelled = [
        record
        for record in records
        if not {"neighbors", "unseen"} & set(relevance_of[record.config["data"]]) and record.distance == "hamming"
    ]
    if not labelled:
        raise InputError(f"{store.directory}: every record is {NOT_AUDITED}")
    if len(labelled) < len(records):
        log(f"{len(records) - len(labelled)} records are left out: they are {NOT_AUDITED}")
        advance(len(records) - len(labelled))
    frames, identities = [], _identities(labelled)
    for record in sorted(labelled, key=lambda record: _place(record, identities)):
        relevance = relevance_of[record.config["data"]]
        arrays = store.arrays(record.id)
        try:
            scores = conventions(
                arrays["query_codes"],
                arrays["database_codes"],
                relevance["query_labels"],
                relevance["database_labels"],
                record.config["n_bits"],
                cutoffs_of(record),
            )
        except ValueError as error:
            path = store.labels_path(record.config["data"])
            raise InputError(f"{path} does not fit the codes of {store.arrays_path(record.id)}: {error}") from error
        frames.append(pd.DataFrame([{**identities[record.id], **_scored(record), **row} for row in scores]))
        advance(1)
    return pd.concat(frames, ignore_index=True)


def cutoffs_of(record: Record) -> list[int | None]:
    """Return the cut-offs of the record's own mean average precisions and those of `CUTOFFS`, the whole last."""
    cutoffs = set(CUTOFFS)
    for name in record.metrics:
        with suppress(ValueError):  # a metric of another version of hashbench
            metric = parse(name)
            if isinstance(metric, MAP):
                cutoffs.add(metric.k)
    return sorted(cutoffs, key=lambda cutoff: cutoff or math.inf)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the result of `audit`, a row per record and convention.

    Raises
    ------
    InputError
        The file cannot be written; an older file is left as it was.
    """
    safe = frame.assign(**{name: frame[name].map(csv_safe) for name in ("dataset", "protocol", "backbone", "method")})
    with as_input_error(path):
        write_atomically(path, table_bytes(safe))


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the extremes of each method at each length.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `audit`.

    Returns
    -------
    pandas.DataFrame
        A row per method and n_bits: the columns of `IDENTITY`, ``min`` and ``max`` over the conventions, each
        convention's mean over seeds taken first, ``min_convention`` and ``max_convention``, their ``spread``,
        and ``hashbench``, as recorded, with its metric's name ``hashbench_metric``.
    """
    rows = []
    for identity, group in frame.groupby(IDENTITY, sort=False):
        means = group.groupby(CONVENTION, sort=False)["mAP"].mean()
        low, high = means.idxmin(), means.idxmax()
        rows.append(
            {
                **dict(zip(IDENTITY, identity, strict=True)),
                "min": means[low],
                "min_convention": describe(*low),
                "max": means[high],
                "max_convention": describe(*high),
                "spread": means[high] - means[low],
                "hashbench": group.drop_duplicates("id")["hashbench"].mean(),
                "hashbench_metric": group["hashbench_metric"].iloc[0],
            }
        )
    return pd.DataFrame(rows)


def print_audit(frame: pd.DataFrame, console: Console) -> None:
    """Print the extremes of each method at each length, then all conventions, ties side by side.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `audit`.
    console : rich.console.Console
    """
    # Of the rest, only what tells records of one method apart gets a column.
    per_method = frame.groupby("method")[IDENTITY].nunique().max()
    shown = [name for name in IDENTITY if name in ("method", "n_bits") or per_method[name] > 1]
    print_title("the same codes, lowest and highest reading", console)
    table = new_table(console)
    for name in (*shown, "lowest", "highest", "spread", "hashbench"):
        table.add_column(name, justify="left" if name in shown and name != "n_bits" else "right")
    for row in summary(frame).to_dict("records"):
        table.add_row(
            *(escape(str(row[name])) for name in shown),
            f"{row['min']:.4f} ({row['min_convention']})",
            f"{row['max']:.4f} ({row['max_convention']})",
            f"{row['spread']:.4f}",
            f"{row['hashbench']:.4f} ({row['hashbench_metric']})",
        )
    console.print(table)
    print_conventions(frame, console, shown)


def print_conventions(frame: pd.DataFrame, console: Console, shown: Sequence[str] = ()) -> None:
    """Print mean average precision by convention, orders of ties as columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns of `CONVENTION` and ``mAP``, as `hashbench.evaluation.conventions.conventions` has them.
    console : rich.console.Console
    shown : sequence of str
        Columns that tell methods apart; each convention's mean is taken over the rest.
    """
    print_title("mAP by convention; columns: order of ties", console)
    table = new_table(console)
    ties = list(frame["ties"].unique())
    for name in (*shown, "cut-off", "divided by", "no hit", *ties):
        table.add_column(name, justify="right" if name in ties or name == "n_bits" else "left")
    for key, values in _readings(frame, shown):
        table.add_row(*(escape(str(part)) for part in key), *values)
    console.print(table)


def _readings(frame: pd.DataFrame, shown: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], list[str]]]:
    """Yield rows of the table of conventions; where dropping queries changes nothing, one row for both."""
    parts = [*shown, *CONVENTION]
    rows: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for key, mean in frame.groupby(parts, sort=False)["mAP"].mean().items():
        named = dict(zip(parts, key, strict=True))
        label = tuple(named[name] for name in (*shown, "cutoff", "divisor"))
        rows.setdefault(label, {}).setdefault(named["without_hit"], []).append(f"{mean:.4f}")
    for label, by_rule in rows.items():
        if by_rule["0"] == by_rule["dropped"]:
            yield (*label, "0 or dropped"), by_rule.pop("0")
            by_rule.pop("dropped")
        yield from (((*label, rule), values) for rule, values in by_rule.items())


def describe(cutoff: str, divisor: str, ties: str, without_hit: str) -> str:
    """Return a convention in words, such as ``@1000 / hits, stable, no hit: dropped``."""
    return f"@{cutoff} / {divisor}, {ties}, no hit: {without_hit}"


def _identities(records: list[Record]) -> dict[str, dict[str, Any]]:
    """Return by a record's id what tells its method at its length: the columns of `IDENTITY`."""
    settings = by_setting(records)
    names = named({setting: file_of(members) for setting, members in settings.items()})
    return {
        record.id: {
            **vars(names[setting]),
            "method": row.label,
            "source": record.config["source"][:12],
            "n_bits": row.n_bits,
        }
        for setting, members in settings.items()
        for row in rows_of(members)
        for record in row.records
    }


def _place(record: Record, identities: dict[str, dict[str, Any]]) -> tuple[Any, ...]:
    identity = identities[record.id]
    return *(identity[name] for name in ("dataset", "protocol", "backbone", "method", "n_bits")), record.config[
        "seed"
    ] or 0


def _scored(record: Record) -> dict[str, Any]:
    audited = (f"mAP@{cutoff or 'all'}" for cutoff in cutoffs_of(record))
    headline = next((name for name in audited if name in record.metrics), None)
    return {
        "seed": record.config["seed"],
        "id": record.id,
        "hashbench": record.metrics[headline] if headline else np.nan,
        "hashbench_metric": headline,
    }
