"""Settings of a run's directory: its records, grouped by what makes them comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hashbench.errors import InputError
from hashbench.records.record import Record
from hashbench.records.store import open_results
from hashbench.reports.page.setting import Setting, listed, shown
from hashbench.results.metric_infos import of_one_version
from hashbench.results.rows import ASYMMETRIC, NO_SEED, Row, marked_label, rows_of
from hashbench.results.setting import Named, by_setting, file_of, named
from hashbench.results.verdicts import Verdicts, verdicts

MOST_FAILURES = 20
"""Cells without a result that are listed one by one."""


def settings_of_run(directory: Path) -> list[Setting]:
    """Return the settings of a run; what failed in settings without any result is in the first one's notes.

    Raises
    ------
    InputError
        The directory holds no record that ended well, or arrays are damaged.
    """
    store = open_results(directory)
    records = of_one_version(list(store))
    scored = [record for record in records if record.status == "ok"]
    if not scored:
        raise InputError(
            f"{directory} holds no record that ended well: there is nothing to report (the first: {_why(records[0])})"
        )
    compared = verdicts(scored, store)
    groups = by_setting(records)
    names = named({setting: file_of(members) for setting, members in groups.items()})
    settings, without = [], []
    for setting, members in sorted(groups.items()):
        rows = _rows([record for record in members if record.status == "ok"], compared)
        if not rows:
            without += _lost(members, names[setting])
            continue
        settings.append(
            Setting(
                **_about(members, names[setting]),
                origin=str(directory),
                command=_command(members),
                rows=rows,
                evidence=[_evidence(row.label, record) for row in rows for record in row.records],
                notes=[*_failures(members), *_timing_notes(members)],
                store=store,
            )
        )
    settings[0].notes.extend(without)
    return settings


def _about(records: Sequence[Record], name: Named) -> dict[str, Any]:
    first = records[0]
    config = first.config
    return {
        **vars(name),
        "provenance": first.provenance,
        "facts": {
            "data and split, SHA-256": config["data"],
            "protocol, SHA-256": config["protocol_hash"],
            "features": listed(config["features"]),
            "version of the metrics": str(config["engine"]),
        },
    }


def _command(records: Sequence[Record]) -> str:
    """Return the commands that the records name, and how many of them name none."""
    commands = [str(record.environment.get("command", "")) for record in records]
    lines = sorted(set(commands) - {""})
    unnamed = commands.count("")
    return "\n".join([*lines, *([f"# {unnamed} older records do not name their command"] if unnamed else [])])


def _rows(records: Sequence[Record], compared: Verdicts) -> list[Row]:
    return sorted(rows_of(records, _label, compared), key=lambda row: (row.n_bits, row.label))


def _label(record: Record) -> str:
    return shown(marked_label(record) + (ASYMMETRIC if record.is_asymmetric else ""))


def _evidence(label: str, record: Record) -> dict[str, str]:
    environment: Mapping[str, Any] = record.environment
    versions = environment.get("versions", {})
    seed = record.config["seed"]
    return {
        "method": label,
        "bits": str(record.config["n_bits"]),
        "seed": NO_SEED if seed is None else str(seed),
        "record": record.id,
        "database codes, SHA-256": record.codes_sha256.get("database_codes", ""),
        "code of the method, SHA-256": "" if record.origin == "imported" else record.config["source"],
        "parameters": listed(record.config["params"]),
        "computed": record.date,
        "processor": shown(environment.get("gpu") or environment.get("cpu", "")),
        "versions": listed(versions),
    }


def _failures(records: Sequence[Record]) -> list[str]:
    without = [record for record in records if record.status != "ok"]
    lines = [_why(record) for record in without[:MOST_FAILURES]]
    more = len(without) - len(lines)
    return [*lines, f"{more} more cells have no result"] if more else lines


def _lost(records: Sequence[Record], name: Named) -> list[str]:
    """Return the failures of a setting that is not shown, since nothing of it ended well."""
    title = shown(f"{name.dataset} · {name.protocol} · {name.backbone}")
    return [
        f"{title} is not on this page, since no cell of it ended well",
        *(f"{title}: {why}" for why in _failures(records)),
    ]


def _timing_notes(records: Sequence[Record]) -> list[str]:
    if any(record.timings_are_shared for record in records):
        return ["Some cells ran at the same time as others: their timings say little about their methods."]
    return []


def _why(record: Record) -> str:
    return shown(f"{record.title}: {record.status}: {record.error}")
