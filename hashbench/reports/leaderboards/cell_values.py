"""Allowed values of a leaderboard's cells, as text: each function says whether a text is one."""

from __future__ import annotations

import json
import math
import re
from datetime import date

from hashbench.evaluation import metrics
from hashbench.files.paths import is_plugin_name
from hashbench.files.writing import csv_safe
from hashbench.results.rows import NO_SEED

LONGEST = 1000
"""Characters of a cell."""
NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(e[+-][0-9]{1,3})?")
VERDICTS = ("best", "separable", "not separable", "unknown")


def is_text(cell: str) -> bool:
    """Return whether a cell is one printable line that no spreadsheet takes for a formula."""
    return cell.isprintable() and len(cell) <= LONGEST and csv_safe(cell) == cell


def is_label(cell: str) -> bool:
    """Return whether a cell names a method, such as ``itq`` or ``agh[n_layers=2]``."""
    name, bracket, rest = cell.partition("[")
    return is_text(cell) and is_plugin_name(name) and (not bracket or (rest.endswith("]") and "=" in rest))


def is_count(cell: str) -> bool:
    """Return whether a cell is a whole number above 0, in plain digits."""
    return re.fullmatch(r"[1-9][0-9]{0,8}", cell) is not None


def is_count_or_empty(cell: str) -> bool:
    """Return whether a cell is a whole number above 0, or empty."""
    return cell == "" or is_count(cell)


def are_seeds(cell: str) -> bool:
    """Return whether a cell lists seeds in ascending order, says that there is none, or is empty."""
    if cell in ("", NO_SEED):
        return True
    if not re.fullmatch(r"(0|[1-9][0-9]{0,18})( (0|[1-9][0-9]{0,18}))*", cell):
        return False
    seeds = [int(part) for part in cell.split(" ")]
    return seeds == sorted(set(seeds))


def is_number(cell: str) -> bool:
    """Return whether a cell is a finite number, or empty."""
    return cell == "" or (NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell)))


def is_amount(cell: str) -> bool:
    """Return whether a cell is a number from 0 on, or empty."""
    return is_number(cell) and not cell.startswith("-")


def is_score(cell: str) -> bool:
    """Return whether a cell is a number from 0 to 1, or empty."""
    return cell == "" or (is_amount(cell) and float(cell) <= 1)


def is_verdict(cell: str) -> bool:
    """Return whether a cell is a verdict, or empty."""
    return cell in ("", *VERDICTS)


def is_portable(cell: str) -> bool:
    """Return whether a cell is ``yes``, ``no`` or empty."""
    return cell in ("yes", "no", "")


def is_bool(cell: str) -> bool:
    """Return whether a cell is ``True`` or ``False``."""
    return cell in ("True", "False")


def is_date(cell: str) -> bool:
    """Return whether a cell is a day, YYYY-MM-DD."""
    try:
        return date.fromisoformat(cell).isoformat() == cell
    except ValueError:
        return False


def is_origin(cell: str) -> bool:
    """Return whether a cell says where codes come from."""
    return cell in ("", "imported")


def is_key(cell: str) -> bool:
    """Return whether a cell is the beginning of a SHA-256, 16 hex digits."""
    return re.fullmatch(r"[0-9a-f]{16}", cell) is not None


def is_key_or_empty(cell: str) -> bool:
    """Return whether a cell is a key, or empty."""
    return cell == "" or is_key(cell)


def is_metric(name: str) -> bool:
    """Return whether a column's name is a metric's, in its one form."""
    try:
        return len(name) <= LONGEST and repr(metrics.parse(name)) == name
    except ValueError:
        return False


def label_of(name: str, params: dict[str, object], defaults: dict[str, object]) -> str:
    """Return a method with the parameters that differ from its defaults, as ``hashbench run --methods`` reads it.

    Parameters
    ----------
    name : str
    params : dict
        All of them, as JSON has them.
    defaults : dict
        Those of the class; what is missing there always counts as different.
    """
    changed = {key: value for key, value in sorted(params.items()) if key not in defaults or defaults[key] != value}
    inside = ",".join(f"{key}={_written(value)}" for key, value in changed.items())
    return f"{name}[{inside}]" if inside else name


def _written(value: object) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_][\w./:-]*", value, re.ASCII) else repr(value)
    return repr(value).replace(", ", ",")


def as_json(value: object) -> object:
    """Return a value as it is after JSON: a tuple becomes a list."""
    return json.loads(json.dumps(value, default=repr))
