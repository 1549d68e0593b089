"""Readings of a metric: which queries are scored against which part of the database, by what training has seen."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

READINGS = ("seen@seen", "seen@all", "unseen@unseen", "unseen@all")
"""Queries of seen or unseen classes, against database items of the same kind of classes or of all."""
_UNSEEN = "unseen"


def split_reading(name: str) -> tuple[str, str]:
    """Return a metric's name without its reading, and the reading; empty where it has none.

    Examples
    --------
    >>> split_reading("mAP@all unseen@all"), split_reading("mAP@all")
    (('mAP@all', 'unseen@all'), ('mAP@all', ''))
    """
    metric, _, reading = name.rpartition(" ")
    return (metric, reading) if reading in READINGS else (name, "")


def metric_of_column(name: str) -> str:
    """Return the metric that a column of a table is of.

    Examples
    --------
    >>> metric_of_column("mAP@all unseen@all verdict"), metric_of_column("mAP@all low"), metric_of_column("mAP@all")
    ('mAP@all unseen@all', 'mAP@all', 'mAP@all')
    """
    metric, _, rest = name.partition(" ")
    reading = rest.partition(" ")[0]
    return f"{metric} {reading}" if reading in READINGS else metric


def with_readings(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of mean average precisions with each reading; other metrics would make tables too wide.

    Examples
    --------
    >>> with_readings(["mAP@all", "P@100"])
    ('mAP@all seen@seen', 'mAP@all seen@all', 'mAP@all unseen@unseen', 'mAP@all unseen@all')
    """
    return tuple(f"{name} {reading}" for name in names if name.startswith("mAP@") for reading in READINGS)


def query_rows(reading: str, labels: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Return which queries a reading scores.

    Parameters
    ----------
    reading : str
        One of `READINGS`.
    labels : ndarray of shape (n,), int
        Classes of the queries.
    unseen : ndarray of int
        Classes that training has not seen.

    Returns
    -------
    ndarray of int64, ascending
    """
    return _rows_of(reading.partition("@")[0], labels, unseen)


def database_rows(reading: str, labels: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Return which items of the database a reading looks at; parameters as in `query_rows`."""
    part = reading.partition("@")[2]
    return np.arange(len(labels)) if part == "all" else _rows_of(part, labels, unseen)


def _rows_of(part: str, labels: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isin(labels, unseen) == (part == _UNSEEN))
