"""Checks a leaderboard: columns, cells, order, no row twice, what its keys name, and its rows' code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hashbench import renamed
from hashbench.evaluation import metrics
from hashbench.plugins.registry import Registry
from hashbench.reports.leaderboards import cell_values, csv_files
from hashbench.reports.leaderboards.columns import (
    KEY,
    VERDICT,
    Line,
    columns,
    completed,
    identity,
    key_of,
    lacked,
    metrics_in,
    order,
    setting,
)
from hashbench.reports.leaderboards.csv_files import Entries, Unreadable

RESTORE = "take the file from git again, or remove it and publish its runs"
ROUNDING = 1.5e-5
"""By how much two values with five digits may differ where the exact ones are equal."""
ROUNDED = 5.001e-6
"""How far a value with five digits may be from the exact one: half of its last digit, and what floating point adds."""


def problems_of(path: Path) -> list[str]:
    """Return what is wrong with a leaderboard, one line each; empty where nothing is.

    Parameters
    ----------
    path : Path
        ``features.json`` and ``methods.json`` are next to it.
    """
    try:
        content = csv_files.read_bytes(path)
        problems = problems_in(content, path.stem, csv_files.read_entries(path.parent))
    except Unreadable as error:
        return [str(error)]
    form = "" if problems else form_problem(content)
    return [form] if form else problems


def read_rows(path: Path) -> list[Line]:
    """Return the rows of a leaderboard that has no problem, under the present names."""
    header, lines = csv_files.parse(csv_files.read_bytes(path))
    rows = [completed(header, line) for line in lines]
    if not renamed.RENAMED:
        return rows
    methods = csv_files.read_entries(path.parent).methods
    return [_present(row, methods[row["params"]]) for row in rows]


def _present(row: Line, entry: dict[str, Any]) -> Line:
    version = row["hashbench"]
    present = renamed.present_config({**entry, "dataset": row["dataset"]}, version)
    names = {"dataset": present.pop("dataset"), "method": renamed.present_label(row["method"], version)}
    return {**row, **names, "params": key_of(present)}


def notes_on(path: Path) -> list[str]:
    """Return what a reader of a valid leaderboard should know: columns that came after it was written."""
    header, _ = csv_files.parse(csv_files.read_bytes(path))
    lacks = lacked(header)
    shown = ", ".join(
        f"{column.name} ({f'read as {column.default}' if column.default else 'empty'})" for column in lacks
    )
    return [f"it is of an older version and lacks columns, which are filled in: {shown}"] if lacks else []


def problems_in(content: bytes, dataset: str, entries: Entries) -> list[str]:
    """Return what is wrong with the content of a leaderboard, in whatever form a program has saved it.

    Parameters
    ----------
    content : bytes
    dataset : str
        Whose it is to be.
    entries : Entries
        Of the JSON files next to it.
    """
    try:
        header, lines = csv_files.parse(content)
    except Unreadable as error:
        return [str(error)]
    problems = _header_problems(header)
    if problems:
        return problems
    if not lines:
        return ["has no row"]
    short = [number for number, line in enumerate(lines, 2) if len(line) != len(header)]
    if short:
        return [f"line {number}: has another number of fields than the header" for number in short]
    rows = [completed(header, line) for line in lines]
    for number, row in enumerate(rows, 2):
        problems += [f"line {number}: {problem}" for problem in _row_problems(row, dataset, entries)]
    if problems:
        return problems
    problems = [*_repeated(rows), *_verdict_problems(rows)]
    if not problems and rows != sorted(rows, key=order):
        problems = [f"has its rows in another order than publish writes, so that lines were moved or edited; {RESTORE}"]
    return problems


def form_problem(content: bytes) -> str:
    """Return in what form a leaderboard without problems was saved by another program; empty where publish wrote it.

    Its rows are those that publish wrote, so that publishing again mends it.
    """
    header, lines = csv_files.parse(content)
    if csv_files.to_csv([completed(header, line) for line in lines], header) == content:
        return ""
    return csv_files.form_of(content) or "has cells quoted as another program saves them; publish again"


def _header_problems(header: Sequence[str]) -> list[str]:
    names = metrics_in(header)
    odd = [name for name in names if not cell_values.is_metric(name)]
    if odd:
        return [f"unknown metric {odd[0]!r:.100}"]
    expected = [column.name for column in columns(names) if column.name in header or column.default is None]
    missing = [name for name in expected if name not in header]
    if missing:
        return [f"lacks the columns {', '.join(missing)}"]
    unknown = [name for name in header if name not in expected]
    repeated = [name for name in expected if list(header).count(name) > 1]
    if unknown or repeated:
        which = f"the unknown column {unknown[0]!r:.100}" if unknown else f"the column {repeated[0]!r:.100} twice"
        return [f"has {which}; {RESTORE}"]
    if list(header) != expected:
        return [f"has its columns in another order than publish writes; {RESTORE}"]
    return []


def _row_problems(row: Line, dataset: str, entries: Entries) -> Iterator[str]:
    names = metrics_in(row)
    odd = [column for column in columns(names) if not column.fits(row[column.name])]
    if odd:
        yield from (f"{column.name} is {row[column.name]!r:.60}, expected {column.expected}" for column in odd)
        return
    if row["dataset"] != dataset:
        yield f"dataset is {row['dataset']!r} in {dataset}.csv"
    if row["seeds"] and row["n_seeds"] != str(len(row["seeds"].split())):
        yield f"n_seeds is {row['n_seeds']} with the seeds {row['seeds']}"
    if not any(row[name] for name in names):
        yield "has no metric"
    for name in names:
        yield from _interval_problems(row, name)
        yield from _deviation_problems(row, name)
    yield from _key_problems(row, entries)


def _interval_problems(row: Line, metric: str) -> Iterator[str]:
    mean, low, high = row[metric], row[f"{metric} low"], row[f"{metric} high"]
    if not mean and any(row[f"{metric}{end}"] for end in (" std", " low", " high", VERDICT)):
        yield f"{metric} is empty, and what belongs to it is not"
    elif bool(low) != bool(high) or (low and not (_at_most(low, mean) and _at_most(mean, high))):
        yield f"{metric} is {mean} with the interval from {low or 'nothing'} to {high or 'nothing'}"


def _deviation_problems(row: Line, metric: str) -> Iterator[str]:
    """Yield what no seeds can have: a deviation of one, none of several, or more than scores from 0 to 1 allow."""
    mean, deviation, n_seeds = row[metric], row[f"{metric} std"], int(row["n_seeds"])
    if bool(deviation) != (n_seeds > 1 and bool(mean)):
        yield f"{metric} std is {deviation or 'empty'} where n_seeds is {n_seeds}"
    elif deviation:
        most = _largest_deviation(float(mean), n_seeds)
        if not float(deviation) <= most + ROUNDED:
            yield f"{metric} std is {deviation}; with the mean {mean} it can be at most {most:.5f}"


def _largest_deviation(mean: float, n_seeds: int) -> float:
    """Return the largest standard deviation of scores from 0 to 1 whose mean is rounded to five digits.

    It grows with the mean's distance from 0 or 1, whichever is nearer; so of the means that round to this one, the
    nearest to 1/2 bounds it. Up to 1/n one seed can hold all of that distance, beyond it none can.
    """
    nearest = min(max(0.5, mean - ROUNDED), mean + ROUNDED)
    distance = min(nearest, 1 - nearest)
    if n_seeds * distance <= 1:
        return distance * math.sqrt(n_seeds)
    return math.sqrt(distance * (1 - distance) * n_seeds / (n_seeds - 1))


def _at_most(low: str, high: str) -> bool:
    return float(low) <= float(high) + ROUNDING


def _key_problems(row: Line, entries: Entries) -> Iterator[str]:
    """Yield what is wrong with what a row names by its key."""
    for name in ("features", "views"):
        if row[name] and row[name] not in entries.features:
            yield f"{name} {row[name]} is not in {csv_files.FEATURES} next to it"
    method = entries.methods.get(row["params"])
    if method is None:
        yield f"params {row['params']} is not in {csv_files.METHODS} next to it"
    elif method["method"] != name_of(row):
        yield f"method is {row['method']!r:.60}, its params are those of {method['method']!r:.60}"


def name_of(row: Line) -> str:
    """Return the name of a row's method, without parameters."""
    return row["method"].partition("[")[0]


def _repeated(rows: Sequence[Line]) -> Iterator[str]:
    seen: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, 2):
        first = seen.setdefault(identity(row), number)
        if first != number:
            yield f"line {number} repeats line {first}"


def _verdict_problems(rows: Sequence[Line]) -> Iterator[str]:
    """Yield settings whose verdicts do not belong together: either there is none, or one row is the best."""
    together: dict[tuple[str, ...], list[tuple[int, Line]]] = {}
    for number, row in enumerate(rows, 2):
        together.setdefault(setting(row), []).append((number, row))
    for numbered in together.values():
        for metric in metrics_in(rows[0]):
            scored = [(number, row) for number, row in numbered if row[metric]]
            verdicts = [row[metric + VERDICT] for _, row in scored]
            best = [row[metric] for _, row in scored if row[metric + VERDICT] == "best"]
            whole = all(verdicts) and len(best) == 1 and all(_at_most(row[metric], best[0]) for _, row in scored)
            if any(verdicts) and not whole:
                yield f"line {scored[0][0]} and its setting: {metric} has verdicts that contradict"


def stale_rows(path: Path, registry: Registry) -> tuple[list[str], list[str]]:
    """Compare the rows of a valid leaderboard with the code that is here.

    Returns
    -------
    stale : list of str
        Rows of other code: their methods, or the metrics, have changed since.
    unknown : list of str
        Rows whose method is not here.
    """
    plugins, stale, unknown = registry.plugins("methods"), [], []
    for number, row in enumerate(read_rows(path), 2):
        which = f"line {number}: {row['method']} at {row['n_bits']} bits"
        if row["origin"]:
            unknown.append(f"{which}: its codes are imported, so there is no code to compare")
        elif name_of(row) not in plugins:
            unknown.append(f"{which}: the method is not here, so its code cannot be compared")
        elif row["source"] != plugins[name_of(row)].source_hash[:KEY]:
            stale.append(f"{which} is of other code than is here; run it again and publish")
        elif row["engine"] != str(metrics.VERSION):
            stale.append(f"{which} is of other metrics (engine {row['engine']}); run it again and publish")
    return stale, unknown
