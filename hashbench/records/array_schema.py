"""Names, types and shapes of a record's arrays, so that a file that another program has changed is an error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hashbench.evaluation.readings import split_reading

CODES = ("query_codes", "database_codes")
VALUES = "query_values"
"""The real values of queries, in records that rank by them."""
PER_QUERY, RANK, RADIUS = "per_query:", "rank", "radius_"
"""What the names of arrays begin with that are of one length."""


def problem_in(arrays: Mapping[str, np.ndarray]) -> str:
    """Return what is wrong with the form of a record's arrays; empty where nothing is.

    Parameters
    ----------
    arrays : mapping from str to ndarray
        Packed codes, values per query and curves; what has another name is not looked at.
    """
    for name, array in arrays.items():
        if name in CODES and (array.dtype != np.uint8 or array.ndim != 2 or not array.size):
            return f"{name} are no packed codes"
        if name.startswith((PER_QUERY, RANK, RADIUS)) and not _is_curve(array):
            return f"{name} is no line of finite numbers"
    lengths: dict[str, dict[str, int]] = {}
    for name, array in arrays.items():
        if name.startswith((PER_QUERY, CODES[0], RANK, RADIUS)):
            lengths.setdefault(_is_of(name), {})[name] = len(array)
    for same in lengths.values():
        if len(set(same.values())) > 1:
            return f"{', '.join(same)} are not of one length"
    return ""


def _is_of(name: str) -> str:
    """Return what arrays of one length are of: ranks, radii, all queries, or those of seen or of unseen classes."""
    if name.startswith((PER_QUERY, CODES[0])):
        return split_reading(name)[1].partition("@")[0]
    return RANK if name.startswith(RANK) else RADIUS


def _is_curve(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiu" and array.ndim == 1 and array.size > 0 and bool(np.isfinite(array).all())
