"""Scores the codes of a bundle again, and compares what they give with its records and with a leaderboard's rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hashbench.data.dataset import Dataset
from hashbench.data.protocol import NameParts
from hashbench.errors import InputError
from hashbench.plugins.registry import Registry
from hashbench.records.record import Record
from hashbench.records.store import Store
from hashbench.reports.bundles.archive import unpack
from hashbench.reports.bundles.labels import dataset_of, problem_with, refuse_unknown_protocol, relevance_sha256
from hashbench.reports.leaderboards.checks import name_of, problems_of, read_rows
from hashbench.reports.leaderboards.columns import (
    VERDICT,
    Line,
    identity,
    judged_together,
    metrics_in,
    of_metric,
    setting,
)
from hashbench.reports.leaderboards.evidence import Evidence, why_on_no_leaderboard
from hashbench.reports.leaderboards.rows_of_records import rows_of

DECIDED = ("n_seeds", "seeds", "uses_labels", "data_provenance", "source", "engine", "views", "params")
"""Columns besides the metrics' that a row must have from the records. Timings, and where and when they were taken, are
nothing that codes can tell."""


class Submitted(Evidence):
    """A record of a bundle."""

    def refused(self, reason: object) -> InputError:
        """Return an error that names the record."""
        return InputError(f"record {self.record.id[:16]} ({self.record.title}) cannot be recomputed: {reason}")


@dataclass
class Recomputed:
    """What scoring a bundle again has shown.

    Attributes
    ----------
    n_records : int
        Records whose codes give their metrics; all of the bundle.
    problems : list of str
        What differs from the leaderboard.
    notes : list of str
        What a reader should know.
    rows : list of dict from str to str
        What the records give, as rows of a leaderboard.
    """

    n_records: int
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: list[Line] = field(default_factory=list)


def recompute(bundle: Path, board: Path | None = None, plugins: Iterable[str | Path] = ()) -> Recomputed:
    """Score a bundle's codes again.

    Parameters
    ----------
    bundle : Path
    board : Path, optional
        A leaderboard: each row that the bundle's records give must be in it as they give it.
    plugins : iterable of path-like
        Files of methods and data sets that are not installed.

    Raises
    ------
    InputError
        The file is not a bundle, a record is not what its codes give, or its labels cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="hashbench-bundle-") as temporary:
        folder = Path(temporary).resolve()
        manifest = unpack(bundle, folder)
        try:
            return _recomputed(folder, manifest, board, Registry(plugins))
        except InputError as error:
            raise InputError(f"{bundle}: " + str(error).replace(f"{folder}/", "").replace(str(folder), "it")) from error


def _recomputed(folder: Path, manifest: dict[str, Any], board: Path | None, registry: Registry) -> Recomputed:
    passed_over: list[str] = []
    store = Store(folder, log=passed_over.append)
    records = list(store)
    if passed_over:
        raise InputError(passed_over[0])
    if not records or any(record.status != "ok" for record in records):
        raise InputError("it holds no record, or one that did not end well")
    notes = _give_labels(store, records, manifest, registry)
    added = sorted({name for record in records for name in record.added_metrics})
    if added:
        notes.append(f"not computed again, as runs have added them to the protocol's metrics: {', '.join(added)}")
    submitted = [Submitted(record.without_added_metrics(), store) for record in records]
    rows, _ = rows_of(submitted, registry.plugins("methods"), "recompute")
    result = Recomputed(len(records), notes=[*notes, *_of_other_code(records, registry)], rows=rows)
    if board is not None:
        problems, more = _compare_with_board(board, rows, registry)
        result.problems += problems
        result.notes += more
    return result


def _give_labels(store: Store, records: Sequence[Record], manifest: dict[str, Any], registry: Registry) -> list[str]:
    """Put the labels of the data that is here in the place of the bundle's; return notes on those that are not."""
    notes = []
    for group in _of_one_load(records):
        data = group[0].config["data"]
        refuse_unknown_protocol(group[0], registry)
        try:
            dataset = dataset_of(group[0], registry)
        except InputError as error:
            notes.append(_without_data(store, group[0], error))
        else:
            _refuse_other_data(store, group, dataset)
            store.write_relevance(data, dataset.relevance())
        stated = manifest["labels"].get(data, {}).get("sha256")
        if stated != relevance_sha256(store.relevance(data)):
            raise InputError(f"the labels of {group[0].config['dataset']} are not those that its manifest names")
    return notes


def _of_one_load(records: Iterable[Record]) -> Iterable[list[Record]]:
    """Return the records in groups that one data set, loaded once, was scored on; rankings stay together."""
    groups: dict[tuple[str, str, NameParts], list[Record]] = {}
    for record in records:
        config = record.config
        loaded = replace(NameParts.of(config["protocol"]), ranking="")
        groups.setdefault((config["dataset"], config["data"], loaded), []).append(record)
    return groups.values()


def _without_data(store: Store, record: Record, why: InputError) -> str:
    name = record.config["dataset"]
    if not store.labels_path(record.config["data"]).is_file():
        raise InputError(
            f"it has no labels of {name}, and the data is not here ({why}); hashbench data prepare {name}, or ask for "
            "a bundle --with-labels"
        ) from why
    return f"{name}: the labels are the bundle's own, as the data is not here ({why})"


def _refuse_other_data(store: Store, records: Iterable[Record], dataset: Dataset) -> None:
    for record in records:
        problem = problem_with(record, dataset)
        if problem:
            raise Submitted(record, store).refused(problem)
    path = store.labels_path(dataset.fingerprint)
    if path.is_file():
        true, kept = dataset.relevance(), store.relevance(dataset.fingerprint)
        if relevance_sha256(true) != relevance_sha256(kept):
            raise InputError(f"its labels of {dataset.name} are not those of the data")


def _of_other_code(records: Iterable[Record], registry: Registry) -> Iterator[str]:
    plugins = registry.plugins("methods")
    of = {(record.config["method"], record.config["source"], record.origin) for record in records}
    for name, source, origin in sorted(of):
        if origin == "imported":
            yield f"{name}: its codes are imported, so there is no code to compare"
        elif name not in plugins:
            yield f"{name}: the method is not here, so its code cannot be compared"
        elif source != plugins[name].source_hash:
            yield f"{name} is of other code than is here"


def _compare_with_board(board: Path, rows: Sequence[Line], registry: Registry) -> tuple[list[str], list[str]]:
    """Compare rows that were made again with those of a leaderboard; return problems and notes.

    Rows that no leaderboard has, those on validation queries and those by bytes, are left out.
    """
    problems = problems_of(board)
    if problems:
        return problems, []
    published = [(number, row) for number, row in enumerate(read_rows(board), 2)]
    known, compared = registry.plugins("methods"), 0
    comparable = [row for row in rows if not why_on_no_leaderboard(row["protocol"])]
    for made in comparable:
        by_label = name_of(made) in known
        same = [one for one in published if _key(one[1], by_label) == _key(made, by_label)]
        if not same:
            problems.append(f"lacks the row of {made['method']} at {made['n_bits']} bits that the bundle gives")
        for number, row in same:
            whole = sum(judged_together(other) == judged_together(row) for _, other in published)
            judged = whole == sum(judged_together(other) == judged_together(made) for other in rows)
            problems += [f"line {number}: {problem}" for problem in _differences(row, made, judged)]
            compared += 1
    lacking, unpublished = len(published) - compared, len(rows) - len(comparable)
    notes = [f"{compared} rows compared"]
    notes += [f"{lacking} are not in the bundle"] if lacking else []
    notes += [f"{unpublished} of the bundle's are of protocols that no leaderboard has"] if unpublished else []
    return problems, ["; ".join(notes)]


def _key(row: Line, by_label: bool) -> tuple[str, ...]:
    """Return what tells a row; by its parameters where the defaults, which shorten its label, are not at hand."""
    return identity(row) if by_label else (*setting(row), row["params"])


def _differences(row: Line, made: Line, judged: bool) -> Iterator[str]:
    """Yield the columns in which a row is not as its codes give it; verdicts where all of the setting is at hand."""
    metrics = metrics_in((*row, *made))
    names = [column.name for metric in metrics for column in of_metric(metric)]
    for name in (*names, *DECIDED):
        if name.endswith(VERDICT) and not judged:
            continue
        if row.get(name, "") != made.get(name, ""):
            yield f"{name} is {row.get(name, '') or 'empty'}, the codes give {made.get(name, '') or 'nothing'}"
