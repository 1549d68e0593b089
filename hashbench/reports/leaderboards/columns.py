"""The columns of a leaderboard, each said once: its name, how it is read, what it may hold and what it means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hashbench.evaluation.statistics import Comparison
from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import is_plugin_name, is_protocol_name
from hashbench.files.writing import csv_safe
from hashbench.records.record import Record
from hashbench.reports.leaderboards import cells

Row = dict[str, str]
KEY = 16
"""Characters of a SHA-256 that a leaderboard shows."""


@dataclass(frozen=True)
class Cell:
    """What a row is read from: the records of one method at one code length.

    Attributes
    ----------
    records : list of Record
        One per seed.
    label : str
        The method with the parameters that differ from its defaults.
    compared : mapping from str to Comparison
        By metric: the method beside the best of those that were published with it.
    """

    records: list[Record]
    label: str
    compared: Mapping[str, Comparison]

    @property
    def newest(self) -> Record:
        """The record that tells what all have in common."""
        return max(self.records, key=lambda record: record.date)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, but for the seed that of all records."""
        return self.newest.config

    def method(self) -> dict[str, Any]:
        """Return the entry of methods.json."""
        return {"method": self.config["method"], "params": self.config["params"]}

    def recipes(self) -> list[dict[str, Any]]:
        """Return the entries of features.json: of the features and, where there are any, of the views."""
        return [value for value in (self.config["features"], self.config["views"]) if value is not None]


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    name : str
    meaning : str
        For people; README.md of the leaderboards is made of it.
    read : callable
        ``read(cell)`` returns the value that a row shows.
    fits : callable
        Whether a text may stand in the column.
    expected : str
        What may, in words.
    role : {"", "setting", "row"}
        Rows that agree in all columns of the role ``setting`` are compared with each other. No two of them agree in
        those of the role ``row`` as well. What is compared at several code lengths shares what seeds say.
    since : bool
        Whether older boards lack the column: their rows are read as if nothing stood there.
    """

    name: str
    meaning: str
    read: Callable[[Cell], object]
    fits: Callable[[str], bool] = cells.is_text
    expected: str = "one line of text"
    role: Literal["", "setting", "row"] = ""
    since: bool = False

    def text(self, cell: Cell) -> str:
        """Return what a row shows."""
        value = self.read(cell)
        shown = "" if value is None else str(value)
        return shown if self.fits(shown) else csv_safe(shown)


def key_of(value: object) -> str:
    """Return the key of an entry of features.json or methods.json."""
    return canonical_hash(value)[:KEY]


def _config(name: str) -> Callable[[Cell], object]:
    return lambda cell: cell.config[name]


def _key(name: str) -> Callable[[Cell], object]:
    return lambda cell: cell.config[name][:KEY]


def _where(name: str) -> Callable[[Cell], object]:
    return lambda cell: cell.newest.environment.get(name)


def _version(package: str) -> Callable[[Cell], object]:
    return lambda cell: cell.newest.environment.get("versions", {}).get(package)


def _timing(name: str) -> Callable[[Cell], object]:
    def read(cell: Cell) -> str | None:
        timed = [record.timings[name] for record in cell.records if name in record.timings]
        return f"{np.median(timed):.4g}" if timed else None

    return read


def _seeds(cell: Cell) -> str:
    seeds = [record.config["seed"] for record in cell.records]
    return cells.NO_SEED if None in seeds else " ".join(map(str, sorted(seeds)))


def _codes(cell: Cell) -> str:
    first = min(cell.records, key=lambda record: record.config["seed"] or 0)
    return key_of(first.codes_sha256)


def _portable(cell: Cell) -> str | None:
    said = {None: None, True: "yes", False: "no"}
    return said[cell.newest.portable]


def _column_of_timing(name: str, meaning: str) -> Column:
    return Column(
        name, f"{meaning}; median over seeds", _timing(name), cells.is_amount, "a number from 0 on, or nothing"
    )


def _column_of_key(
    name: str, meaning: str, read: Callable[[Cell], object], role: Literal["", "setting"] = ""
) -> Column:
    return Column(name, meaning, read, cells.is_key, "16 hex digits", role)


COUNT = "a whole number above 0, in plain digits"
HEAD = (
    Column("dataset", "Data set; the file's name", _config("dataset"), is_plugin_name, "a data set's name"),
    Column("protocol", "Split and metrics, see docs/protocol.md", _config("protocol"), is_protocol_name,
           "a protocol's name", "setting"),
    Column("backbone", "Network that turns images into features; `given` where the data has vectors",
           lambda cell: cell.newest.backbone, role="setting"),
    Column("method", "Method, with the parameters that differ from its defaults, as `--methods` reads it",
           lambda cell: cell.label, cells.is_label, "name or name[parameter=value,...]", "row"),
    Column("n_bits", "Code length, bits", _config("n_bits"), cells.is_count, COUNT, "setting"),
    Column("n_seeds", "How many seeds the row rests on; 1 for a deterministic method",
           lambda cell: len(cell.records), cells.is_count, COUNT),
    Column("seeds", "Which seeds; `none` for a deterministic method; empty where an older file did not tell",
           _seeds, cells.are_seeds, "seeds in ascending order, none, or nothing"),
)  # fmt: skip
TAIL = (
    _column_of_timing("features_s", "Features of all images, seconds; shared by all methods"),
    _column_of_timing("views_s", "Augmented views of the training images, seconds; empty where none are used"),
    _column_of_timing("fit_s", "Training on features, seconds"),
    _column_of_timing("encode_items_per_s", "Database items turned from features into codes, per second"),
    _column_of_timing("encode_images_per_s", "The same from images; empty where there are none"),
    _column_of_timing("search_queries_per_s", "Queries ranked against the whole database, per second"),
    Column("uses_labels", "Whether training or the choice of a model has read labels",
           lambda cell: cell.newest.uses_labels, cells.is_bool, "True or False", "setting"),
    Column("portable", "Whether every processor, with any number of threads, gives the same codes; empty where an "
           "older file did not tell", _portable, cells.is_portable, "yes, no, or nothing", since=True),
    Column("data_provenance", "Whether the data is the publisher's or a copy, and what is missing",
           lambda cell: cell.newest.provenance),
    Column("cpu", "Processor that the timings were taken on", _where("cpu")),
    Column("threads", "Its threads that could be used", _where("threads")),
    Column("gpu", "Accelerator; empty where there was none", _where("gpu")),
    *(Column(name, f"Version of {name}", _version(name)) for name in ("hashbench", "torch", "numpy")),
    Column("date", "Day of the newest seed's run, UTC", lambda cell: cell.newest.date[:10], cells.is_date,
           "a day, YYYY-MM-DD"),
    _column_of_key("source", "Begin of the SHA-256 of the method's code; `hashbench validate --code` compares it",
                   _key("source")),
    Column("engine", "Version of the metrics", _config("engine"), cells.is_count, COUNT),
    _column_of_key("features", "Key in features.json: how the features are made",
                   lambda cell: key_of(cell.config["features"]), "setting"),
    Column("views", "Key in features.json: how the views are made; empty where none are used",
           lambda cell: None if cell.config["views"] is None else key_of(cell.config["views"]), cells.is_key_or_empty,
           "16 hex digits, or nothing"),
    Column("codes", "Begin of the SHA-256 of the first seed's codes, by which another computation of them is compared; "
           "empty where an older file did not tell", _codes, cells.is_key_or_empty, "16 hex digits, or nothing",
           since=True),
    Column("same_codes", "How many seeds gave the same codes, bit for bit, when the method's code had changed and they "
           "were computed again; empty where the numbers were made by this very code", lambda cell: None,
           cells.is_count_or_empty, f"{COUNT}, or nothing", since=True),
    _column_of_key("params", "Key in methods.json: all parameters", lambda cell: key_of(cell.method())),
    _column_of_key("data", "Begin of the SHA-256 of the data and its split", _key("data"), "setting"),
    _column_of_key("protocol_hash", "Begin of the SHA-256 of all that the protocol says", _key("protocol_hash"),
                   "setting"),
)  # fmt: skip
SETTING = tuple(column.name for column in (*HEAD, *TAIL) if column.role == "setting")
IDENTITY = (*SETTING, *(column.name for column in (*HEAD, *TAIL) if column.role == "row"))
VERDICT = " verdict"


def of_metric(metric: str) -> tuple[Column, ...]:
    """Return the columns of a metric."""

    def values(cell: Cell) -> list[float]:
        return [record.metrics[metric] for record in cell.records if metric in record.metrics]

    def mean(cell: Cell) -> str | None:
        return f"{np.mean(values(cell)):.5f}" if values(cell) else None

    def deviation(cell: Cell) -> str | None:
        return f"{np.std(values(cell), ddof=1):.5f}" if len(values(cell)) > 1 else None

    def bound(end: int) -> Callable[[Cell], str | None]:
        def read(cell: Cell) -> str | None:
            value = cell.compared[metric].interval[end] if metric in cell.compared else math.nan
            return f"{value:.5f}" if math.isfinite(value) else None

        return read

    def verdict(cell: Cell) -> str | None:
        return cell.compared[metric].verdict if metric in cell.compared else None

    score, number = "a number from 0 to 1, or nothing", "a number, or nothing"
    return (
        Column(metric, "Mean over queries and seeds", mean, cells.is_score, score),
        Column(f"{metric} std", "Standard deviation over seeds; empty for one seed", deviation, cells.is_score, score),
        Column(f"{metric} low", "Lower end of the 95% interval for new queries and new seeds; empty for one seed of a "
               "random method, and where an older file had none", bound(0), cells.is_number, number),
        Column(f"{metric} high", "Its upper end", bound(1), cells.is_number, number),
        Column(f"{metric}{VERDICT}", "`best`, `separable` (worse than the best by more than chance, corrected "
               "for the choice of the best, 5%), `not separable`, or `unknown` (one seed); empty where the rows of the "
               "setting, at all code lengths, were not all published together", verdict, cells.is_verdict,
               "best, separable, not separable, unknown, or nothing"),
    )  # fmt: skip


def columns(metrics: Iterable[str]) -> list[Column]:
    """Return all columns of a leaderboard with these metrics, in order."""
    return [*HEAD, *(column for name in sorted(set(metrics), key=_order) for column in of_metric(name)), *TAIL]


def completed(header: Sequence[str], line: Sequence[str]) -> Row:
    """Return a board's line as a row; columns that older boards lack hold nothing."""
    return {**{column.name: "" for column in TAIL if column.since}, **dict(zip(header, line, strict=True))}


def metrics_in(names: Iterable[str]) -> list[str]:
    """Return the metrics among the names of columns."""
    return sorted({name.partition(" ")[0] for name in names if "@" in name})


def identity(row: Row) -> tuple[str, ...]:
    """Return what no two rows have in common."""
    return tuple(row[name] for name in IDENTITY)


def setting(row: Row) -> tuple[str, ...]:
    """Return what rows have in common that are compared with each other."""
    return tuple(row[name] for name in SETTING)


def judged_together(row: Row) -> tuple[str, ...]:
    """Return what rows have in common whose verdicts rest on each other: their setting, at whatever code length."""
    return setting({**row, "n_bits": ""})


def order(row: Row) -> tuple[Any, ...]:
    """Return a row's place: settings together, within them code lengths ascending, then methods by name."""
    before = [row[name] for name in SETTING if name != "n_bits"]
    return *before, int(row["n_bits"]), row["method"]


def _order(metric: str) -> tuple[str, int, str]:
    kind, _, cutoff = metric.partition("@")
    number = re.match(r"r?([0-9]+)", cutoff)
    return kind, int(number[1]) if number else 2**62, metric
