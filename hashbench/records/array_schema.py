"""Names, types and shapes of a record's arrays, so that a file that another program has changed is an error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
    for of in ((PER_QUERY, CODES[0]), RANK, RADIUS):
        lengths = {name: len(array) for name, array in arrays.items() if name.startswith(of)}
        if len(set(lengths.values())) > 1:
            return f"{', '.join(lengths)} are not of one length"
    return ""


def _is_curve(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiu" and array.ndim == 1 and array.size > 0 and bool(np.isfinite(array).all())
