"""Reads and writes leaderboards: one CSV per data set, and two JSON files of what is too long for a cell."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from hashbench import renamed
from hashbench.files import schema
from hashbench.reports.leaderboards.columns import Line, columns, key_of, metrics_in, order
from hashbench.results.setting import Setting

LARGEST = 2**26
"""Bytes of a file that are read."""
FEATURES, METHODS = "features.json", "methods.json"
BOM = b"\xef\xbb\xbf"
CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |\r?$)", re.MULTILINE)
PARTED = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write in the place of commas."""


class Unreadable(Exception):
    """A file's content cannot be taken apart; the text says why."""


class MethodEntry(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of methods.json."""

    method: str
    params: dict[str, Any]


@dataclass
class Entries:
    """What the rows name by keys, the keys being hashes of the entries.

    Attributes
    ----------
    features : dict
        How features and views are made.
    methods : dict
        Methods with all their parameters.
    """

    features: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, Any] = field(default_factory=dict)

    def add(self, recipes: Iterable[Any], method: Any) -> None:
        """Add what one row names."""
        self.features |= {key_of(recipe): recipe for recipe in recipes}
        self.methods[key_of(method)] = method

    def joined(self, other: Entries) -> Entries:
        """Return the entries of both."""
        return Entries({**self.features, **other.features}, {**self.methods, **other.methods})

    def only(self, rows: Sequence[Line]) -> Entries:
        """Return the entries that rows name."""
        features = {row[name] for row in rows for name in ("features", "views")}
        methods = {row["params"] for row in rows}
        return Entries(
            {key: value for key, value in self.features.items() if key in features},
            {key: value for key, value in self.methods.items() if key in methods},
        )

    def files(self) -> dict[str, bytes]:
        """Return the contents of the files by name."""
        return {FEATURES: _to_json(self.features), METHODS: _to_json(self.methods)}


def read_entries(directory: Path) -> Entries:
    """Return the entries of the JSON files next to leaderboards; none where there is no file.

    Raises
    ------
    Unreadable
        A file is damaged, or an entry does not match its key.
    """
    entries = Entries(
        _read_json(directory / FEATURES, dict[str, Any]), _read_json(directory / METHODS, dict[str, MethodEntry])
    )
    return entries.joined(Entries(methods=_present(entries.methods)))


def _present(methods: dict[str, Any]) -> dict[str, Any]:
    """Return the methods that are called otherwise now, by the keys that this gives them."""
    present = [renamed.present_config(one, "") for one in methods.values()] if renamed.RENAMED else []
    return {key_of(one): one for one in present}


def setting_of(row: Line, entries: Entries) -> Setting:
    """Return the setting of a row of a valid leaderboard; its checksums are as short as the row has them."""
    return Setting(
        dataset=row["dataset"],
        protocol=row["protocol"],
        data=row["data"],
        protocol_hash=row["protocol_hash"],
        features=json.dumps(entries.features[row["features"]], sort_keys=True),
        engine=int(row["engine"]),
        reads_labels=row["uses_labels"] == "True",
        origin="imported" if row["origin"] else "trained",
        tuned=row["tuned"],
    )


def _read_json(path: Path, kind: Any) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = schema.decoded(text_of(read_bytes(path)), kind)
        odd = next((key for key in values if key_of(values[key]) != key), None)
        wrong = "" if odd is None else f"{odd!r:.40} is not its entry's hash"
    except (schema.Misfit, Unreadable) as error:
        wrong = str(error)
    if wrong:
        raise Unreadable(f"{path.name} next to it cannot be used: {wrong}")
    return values


def _to_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    Unreadable
        The file cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise Unreadable(f"has more than {LARGEST:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from error


def text_of(content: bytes) -> str:
    """Return a file's text, without the byte order mark that some editors add.

    Raises
    ------
    Unreadable
        The file is not UTF-8, or holds the marks of a git conflict.
    """
    try:
        text = content.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8: {error.reason} at byte {error.start}") from error
    conflict = CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise Unreadable(
            f"holds marks of a git conflict in line {line}; take one side whole (git checkout --ours or --theirs "
            "FILE), then publish the runs of the other side"
        )
    return text


def parse(content: bytes) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file.

    Raises
    ------
    Unreadable
        The content is not CSV, or its cells are separated by another character than a comma.
    """
    try:
        header, *rows = list(csv.reader(io.StringIO(text_of(content), newline=""), strict=True)) or [[]]
    except csv.Error as error:
        raise Unreadable(f"is no CSV file: {error}") from error
    name = next((name for mark, name in PARTED.items() if len(header) == 1 and mark in header[0]), None)
    if name:
        raise Unreadable(
            f"has cells that are parted by {name}, as some spreadsheets save them; save it with commas, or take the "
            "file from git again"
        )
    return header, rows


def form_of(content: bytes) -> str:
    """Return in what form another program has saved a file: what it has changed, and how to undo that.

    Empty where publish writes such bytes.
    """
    if content.startswith(BOM):
        return "begins with a byte order mark, as some editors save it; save it as UTF-8 without one, or publish again"
    if b"\r" in content:
        return (
            "has lines that end in CRLF, as git writes them with core.autocrlf, and spreadsheets; git config "
            "core.autocrlf input and check it out again, or publish again"
        )
    return ""


def to_csv(rows: Sequence[Line], header: Sequence[str] | None = None) -> bytes:
    """Return rows as the content of a file: in one order and one form.

    Parameters
    ----------
    rows : sequence of dict from str to str
    header : sequence of str, optional
        That of an older board, which lacks the columns that came later.
    """
    metrics = metrics_in(name for row in rows for name, cell in row.items() if cell)
    names = [
        column.name for column in columns(metrics) if header is None or column.name in header or column.default is None
    ]
    frame = pd.DataFrame(
        [{name: row.get(name, "") for name in names} for row in sorted(rows, key=order)], columns=names
    )
    return frame.to_csv(index=False, lineterminator="\n").encode()
