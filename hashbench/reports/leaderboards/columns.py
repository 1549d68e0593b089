"""The columns of a leaderboard, each said once: its name, how it is read, what it may hold and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hashbench.evaluation.readings import metric_of_column
from hashbench.files.hashing import canonical_hash
from hashbench.files.paths import is_plugin_name, is_protocol_name
from hashbench.files.writing import csv_safe
from hashbench.reports.leaderboards import cell_values
from hashbench.results.rows import Row

Line = dict[str, str]
"""A line of a leaderboard, by column."""
KEY = 16
"""Characters of a SHA-256 that a leaderboard shows."""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    name : str
    meaning : str
        For people; README.md of the leaderboards is made of it.
    read : callable
        ``read(row)`` returns the value that a line of the file shows.
    fits : callable
        Whether a text is allowed in the column.
    expected : str
        What may, in words.
    role : {"", "setting", "row"}
        Rows that agree in all columns of the role ``setting`` are compared with each other. No two of them agree in
        those of the role ``row`` as well. What is compared at several code lengths shares what seeds say.
    default : str or None
        What rows of older boards, which lack the column, are read as having; None where every board has it.
    """

    name: str
    meaning: str
    read: Callable[[Row], object]
    fits: Callable[[str], bool] = cell_values.is_text
    expected: str = "one line of text"
    role: Literal["", "setting", "row"] = ""
    default: str | None = None

    def text(self, row: Row) -> str:
        """Return what a line shows."""
        value = self.read(row)
        shown = "" if value is None else str(value)
        return shown if self.fits(shown) else csv_safe(shown)


def key_of(value: object) -> str:
    """Return the key of an entry of features.json or methods.json."""
    return canonical_hash(value)[:KEY]


def _config(name: str) -> Callable[[Row], object]:
    return lambda row: row.newest.config[name]


def _key(name: str) -> Callable[[Row], object]:
    return lambda row: row.newest.config[name][:KEY]


def _where(name: str) -> Callable[[Row], object]:
    return lambda row: row.newest.environment.get(name)


def _version(package: str) -> Callable[[Row], object]:
    return lambda row: row.newest.environment.get("versions", {}).get(package)


def _timing(name: str) -> Callable[[Row], object]:
    return lambda row: f"{row.timings[name]:.4g}" if name in row.timings else None


def _codes(row: Row) -> str | None:
    """Return the key of the first seed's codes; none where real-valued queries were ranked, which codes do not tell."""
    return None if row.newest.is_asymmetric else key_of(row.records[0].codes_sha256)


def _portable(row: Row) -> str | None:
    words = {None: None, True: "yes", False: "no"}
    return words[row.newest.portable]


def method_of(row: Row) -> dict[str, Any]:
    """Return the entry of methods.json that a row names."""
    return {"method": row.config["method"], "params": row.config["params"]}


def recipes_of(row: Row) -> list[dict[str, Any]]:
    """Return the entries of features.json that a row names: of the features and, where there are any, of the views."""
    config = row.newest.config
    return [value for value in (config["features"], config["views"]) if value is not None]


def _column_of_timing(name: str, meaning: str) -> Column:
    return Column(
        name, f"{meaning}; median over seeds", _timing(name), cell_values.is_amount, "a number from 0 on, or nothing"
    )


def _column_of_key(name: str, meaning: str, read: Callable[[Row], object], role: Literal["", "setting"] = "") -> Column:
    return Column(name, meaning, read, cell_values.is_key, "16 hex digits", role)


COUNT = "a whole number above 0, in plain digits"
HEAD = (
    Column("dataset", "Data set; the file's name", _config("dataset"), is_plugin_name, "a data set's name"),
    Column("protocol", "Split and metrics, see docs/protocol.md", _config("protocol"), is_protocol_name,
           "a protocol's name", "setting"),
    Column("backbone", "Network that turns images into features; `given` if the data has vectors",
           lambda row: row.newest.backbone, role="setting"),
    Column("method", "Method, with the parameters that differ from its defaults, as `--methods` reads it",
           lambda row: row.label, cell_values.is_label, "name or name[parameter=value,...]", "row"),
    Column("n_bits", "Code length, bits", _config("n_bits"), cell_values.is_count, COUNT, "setting"),
    Column("n_seeds", "Number of seeds; 1 for a deterministic method",
           lambda row: row.n_seeds, cell_values.is_count, COUNT),
    Column("seeds", "The seeds; `none` for a deterministic method; empty if an older file does not say",
           lambda row: row.seeds, cell_values.are_seeds, "seeds in ascending order, none, or nothing"),
)  # fmt: skip
TAIL = (
    _column_of_timing("features_s", "Features of all images, seconds; shared by all methods"),
    _column_of_timing("views_s", "Augmented views of the training images, seconds; empty if none are used"),
    _column_of_timing("fit_s", "Training on features, seconds"),
    _column_of_timing("encode_items_per_s", "Database items turned from features into codes, per second"),
    _column_of_timing("encode_images_per_s", "The same from images; empty if there are none"),
    _column_of_timing("search_queries_per_s", "Queries ranked against the whole database, per second"),
    Column("uses_labels", "Whether training or the choice of an epoch read labels; for parameters see `tuned`",
           lambda row: row.uses_labels, cell_values.is_bool, "True or False", "setting"),
    Column("origin", "`imported` if the codes come from another program; empty if the method was trained here",
           lambda row: None if row.newest.origin == "trained" else row.newest.origin, cell_values.is_origin,
           "imported, or nothing", "setting", default=""),
    Column("tuned", "How the parameters were chosen by `hashbench tune`: budget, metric, validation queries; empty for "
           "parameters that a person wrote", lambda row: row.newest.tuned, role="setting", default=""),
    Column("portable", "Whether every processor, with any number of threads, gives the same codes; empty if an "
           "older file does not say", _portable, cell_values.is_portable, "yes, no, or nothing", default=""),
    Column("data_provenance", "Whether the data is the publisher's or a copy, and what is missing",
           lambda row: row.newest.provenance),
    Column("cpu", "Processor of the timings", _where("cpu")),
    Column("threads", "Number of its usable threads", _where("threads")),
    Column("gpu", "GPU; empty if there was none", _where("gpu")),
    *(Column(name, f"Version of {name}", _version(name)) for name in ("hashbench", "torch", "numpy")),
    Column("date", "Date of the newest seed's run, UTC", lambda row: row.date, cell_values.is_date,
           "a day, YYYY-MM-DD"),
    _column_of_key("source", "Beginning of the SHA-256 of the method's code; `hashbench validate --code` compares it. "
                   "For imported codes, of the description of their origin",
                   _key("source")),
    Column("engine", "Version of the metrics", _config("engine"), cell_values.is_count, COUNT),
    _column_of_key("features", "Key in features.json: how the features are made",
                   lambda row: key_of(row.newest.config["features"]), "setting"),
    Column("views", "Key in features.json: how the views are made; empty if none are used",
           lambda row: key_of(views) if (views := row.newest.config["views"]) else None, cell_values.is_key_or_empty,
           "16 hex digits, or nothing"),
    Column("codes", "Beginning of the SHA-256 of the first seed's codes, to compare them with a new run; empty "
           "for real-valued queries, and if an older file does not say", _codes, cell_values.is_key_or_empty,
           "16 hex digits, or nothing", default=""),
    Column("same_codes", "Number of seeds that gave the same codes, bit for bit, in a new run after a change of the "
           "method's code; empty if this code gave the numbers", lambda row: None,
           cell_values.is_count_or_empty, f"{COUNT}, or nothing", default=""),
    _column_of_key("params", "Key in methods.json: all parameters", lambda row: key_of(method_of(row))),
    _column_of_key("data", "Beginning of the SHA-256 of the data and its split", _key("data"), "setting"),
    _column_of_key("protocol_hash", "Beginning of the SHA-256 of the whole protocol", _key("protocol_hash"),
                   "setting"),
)  # fmt: skip
SETTING = tuple(column.name for column in (*HEAD, *TAIL) if column.role == "setting")
IDENTITY = (*SETTING, *(column.name for column in (*HEAD, *TAIL) if column.role == "row"))
VERDICT = " verdict"


def of_metric(metric: str) -> tuple[Column, ...]:
    """Return the columns of a metric."""

    def part(name: str) -> Callable[[Row], str | None]:
        def read(row: Row) -> str | None:
            value = getattr(row.scores[metric], name) if metric in row.scores else None
            return f"{value:.5f}" if isinstance(value, float) else value

        return read

    score, number = "a number from 0 to 1, or nothing", "a number, or nothing"
    return (
        Column(metric, "Mean over queries and seeds", part("mean"), cell_values.is_score, score),
        Column(f"{metric} std", "Standard deviation over seeds; empty for one seed", part("std"), cell_values.is_score,
               score),
        Column(f"{metric} low", "Lower end of the 95% interval for new queries and new seeds; empty for one seed of a "
               "random method, and if an older file has none", part("low"), cell_values.is_number, number),
        Column(f"{metric} high", "Its upper end", part("high"), cell_values.is_number, number),
        Column(f"{metric}{VERDICT}", "`best`, `separable` (worse than the best by more than chance, corrected "
               "for the choice of the best, 5%), `not separable`, or `unknown` (one seed); empty if the rows of the "
               "setting, at all code lengths, were not all published together", part("verdict"), cell_values.is_verdict,
               "best, separable, not separable, unknown, or nothing"),
    )  # fmt: skip


def columns(metrics: Iterable[str]) -> list[Column]:
    """Return all columns of a leaderboard with these metrics, in order."""
    return [*HEAD, *(column for name in sorted(set(metrics), key=_order) for column in of_metric(name)), *TAIL]


def completed(header: Sequence[str], line: Sequence[str]) -> Line:
    """Return a board's line as a row; columns that older boards lack have their defaults."""
    return {**{column.name: column.default or "" for column in lacked(header)}, **dict(zip(header, line, strict=True))}


def lacked(header: Sequence[str]) -> list[Column]:
    """Return the columns that came after a board with this header was written."""
    return [one for one in columns(metrics_in(header)) if one.name not in header and one.default is not None]


def metrics_in(names: Iterable[str]) -> list[str]:
    """Return the metrics among the names of columns."""
    return sorted({metric_of_column(name) for name in names if "@" in name})


def identity(line: Line) -> tuple[str, ...]:
    """Return what no two rows have in common."""
    return tuple(line[name] for name in IDENTITY)


def setting(row: Line) -> tuple[str, ...]:
    """Return what rows have in common that are compared with each other."""
    return tuple(row[name] for name in SETTING)


def judged_together(row: Line) -> tuple[str, ...]:
    """Return what rows have in common whose verdicts rest on each other: their setting, at whatever code length."""
    return setting({**row, "n_bits": ""})


def order(row: Line) -> tuple[Any, ...]:
    """Return a row's place: settings together, within them code lengths ascending, then methods by name."""
    before = [row[name] for name in SETTING if name != "n_bits"]
    return *before, int(row["n_bits"]), row["method"]


def _order(metric: str) -> tuple[str, int, str]:
    kind, _, cutoff = metric.partition("@")
    number = re.match(r"r?([0-9]+)", cutoff)
    return kind, int(number[1]) if number else 2**62, metric
