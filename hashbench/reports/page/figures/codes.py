"""Figures of the codes themselves: how well each class is found, and a map of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from hashbench.errors import InputError
from hashbench.evaluation.readings import query_rows, split_reading
from hashbench.reports.page.figures import charts
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import numbered_looks
from hashbench.reports.page.setting import Setting
from hashbench.results.rows import Row
from hashbench.results.setting import grouped_ascending
from hashbench.results.verdicts import per_query

MOST_CLASSES = 100
"""Classes of a heat map; with more its cells are too small to see."""
N_MAPPED = 400
"""Codes on a map."""
BLACK_FROM = 0.47
"""Where on the colour scale numbers turn from white to black: both have a contrast of 4.5 there."""
NAMED_CLASSES = 10
"""Classes that a map tells apart; the rest are ``other``."""
NO_CLASS = "none"
"""What a map calls the class of an item without any label."""


def figures_of_codes(setting: Setting) -> Iterator[Figure]:
    """Yield the figures that need codes and labels; none where true neighbours are relevant.

    Raises
    ------
    InputError
        Arrays are missing, damaged, or do not fit the labels.
    """
    if setting.store is None:
        return
    relevance = setting.store.relevance(setting.facts["data and split, SHA-256"])
    if "query_labels" not in relevance:
        return
    of_query, of_database = (relevance[name] for name in ("query_labels", "database_labels"))
    sample = np.random.default_rng(0).permutation(len(of_database))[:N_MAPPED]
    items = [classes_in(of_database[[item]]) for item in sample]
    for row in setting.rows:
        if row.records[0].is_quantizer:
            continue
        arrays = setting.store.arrays(row.records[0].id)
        if (len(arrays["query_codes"]), len(arrays["database_codes"])) != (len(of_query), len(of_database)):
            raise InputError(f"{setting.origin}: the labels do not fit the codes of record {row.records[0].id}")
        yield _map(row, arrays["database_codes"][sample], items)
    classes = classes_in(of_query)
    if 0 < len(classes) <= MOST_CLASSES:
        members = pd.DataFrame(class_matrix(of_query, classes), columns=classes.astype(str))
        of_metric = {metric: _scored_members(metric, members, relevance) for metric in setting.headline}
        for rows in grouped_ascending(setting.rows, lambda row: row.n_bits).values():
            yield from _heat_maps(setting, rows, of_metric)


def _scored_members(metric: str, members: pd.DataFrame, relevance: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the classes of the queries that a metric scores."""
    reading = split_reading(metric)[1]
    if not reading:
        return members
    scored = members.iloc[query_rows(reading, relevance["query_labels"], relevance["unseen"])]
    return scored.loc[:, scored.any()]


def classes_in(labels: np.ndarray) -> np.ndarray:
    """Return the numbers of the classes that items have.

    Parameters
    ----------
    labels : ndarray
        Classes of shape (n,), a bool matrix (n, n_labels), or bit masks (n, n_words) of uint64.

    Returns
    -------
    ndarray of shape (n_classes,), int64
        Ascending: a user's numbers may have gaps of any width.
    """
    return np.unique(labels) if labels.ndim == 1 else np.flatnonzero(_unpacked(labels).any(axis=0))


def class_matrix(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return which item is of which class.

    Parameters
    ----------
    labels : ndarray
        As `classes_in` takes them.
    classes : ndarray of shape (n_classes,), int64
        From `classes_in`.

    Returns
    -------
    ndarray of shape (n, n_classes), bool
    """
    return labels[:, None] == classes if labels.ndim == 1 else _unpacked(labels)[:, classes].astype(bool)


def _unpacked(labels: np.ndarray) -> np.ndarray:
    if labels.dtype == np.uint64:
        return np.unpackbits(labels.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return labels


def per_class(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the mean over each class's queries.

    Parameters
    ----------
    values : ndarray of shape (n_queries,), float64
    members : ndarray of shape (n_queries, n_classes), bool
        From `class_matrix`; each class has a query.

    Returns
    -------
    ndarray of shape (n_classes,), float64
    """
    return values @ members / members.sum(axis=0)


def _heat_maps(setting: Setting, rows: Sequence[Row], members: Mapping[str, pd.DataFrame]) -> Iterator[Figure]:
    """Yield the heat maps of one code length; each record's file is read once."""
    assert setting.store is not None
    of_rows = [
        (row, per_query(row.records, [metric for metric in setting.headline if metric in row.scores], setting.store))
        for row in rows
    ]
    for metric in setting.headline:
        scored = [(row, np.atleast_2d(values[metric]).mean(axis=0)) for row, values in of_rows if metric in values]
        if scored:
            yield _heat_map(scored, members[metric], metric)


def _heat_map(scored: Sequence[tuple[Row, np.ndarray]], members: pd.DataFrame, metric: str) -> Figure:
    data = pd.concat([_cells(row, values, members) for row, values in scored], ignore_index=True)
    rows, n_bits = [row for row, _ in scored], scored[0][0].n_bits
    lower = rows[0].scores[metric].better == "lower"
    means = data.groupby("class")["y"].mean().sort_values(ascending=not lower)
    order = sorted(rows, key=lambda row: -row.scores[metric].merit)
    return Figure(
        "classes",
        f"{metric} by class of the query, {n_bits} bits",
        f"Cells of {metric}, a row a method, a column a class. Averaged over methods, class {means.index[-1]} is the "
        f"easiest with {means.iloc[-1]:.3f}, class {means.index[0]} the hardest with {means.iloc[0]:.3f}.",
        charts.heat_map(
            sorted(set(data["class"]), key=int),
            [row.label for row in order],
            metric,
            float(np.interp(BLACK_FROM, (0, 1), (data["y"].min(), data["y"].max()))),
        ),
        data,
        bits=n_bits,
        metric=metric,
    )


def _cells(row: Row, values: np.ndarray, members: pd.DataFrame) -> pd.DataFrame:
    means = np.round(per_class(values, members.to_numpy()), 4)
    return pd.DataFrame({"name": row.label, "class": members.columns, "y": means, "n": members.sum().to_numpy()})


def _map(row: Row, codes: np.ndarray, items: Sequence[np.ndarray]) -> Figure:
    signs = 2.0 * np.unpackbits(codes, axis=1, count=row.n_bits) - 1
    points, share = principal_plane(signs)
    counts = Counter(int(classes[0]) for classes in items if len(classes))
    frequent = sorted(number for number, _ in counts.most_common(NAMED_CLASSES))
    names = [*map(str, frequent), *(["other"] if len(counts) > len(frequent) else [])]
    of_point = [_name(classes, frequent) for classes in items]
    data = pd.DataFrame({"name": of_point, "x": points[:, 0].round(2), "y": points[:, 1].round(2)})
    distinct = len(np.unique(signs, axis=0))
    several = " (its first one, where a code has several)" if any(len(classes) > 1 for classes in items) else ""
    title = f"{row.label}, {row.n_bits} bits: {len(items)} codes of the database"
    return Figure(
        "map",
        title,
        f"Points, one a code, coloured by class{several}. The {len(items)} codes are {distinct} distinct ones; the "
        f"plane keeps {share:.0%} of their variance.",
        charts.scatter(data, numbered_looks([*names, *([NO_CLASS] if NO_CLASS in of_point else [])]), "class"),
        data,
        bits=row.n_bits,
        choice=row.label,
    )


def _name(classes: np.ndarray, frequent: Sequence[int]) -> str:
    if not len(classes):
        return NO_CLASS
    return str(classes[0]) if classes[0] in frequent else "other"


def principal_plane(signs: np.ndarray) -> tuple[np.ndarray, float]:
    """Return codes in the plane of their two largest components, and the share of variance that it keeps.

    Squared Euclidean distances of codes in −1 and 1 are four times their Hamming distances, so this is classical
    multidimensional scaling of the Hamming distances.

    Parameters
    ----------
    signs : ndarray of shape (n, n_bits), float64

    Returns
    -------
    points : ndarray of shape (n, 2), float64
    share : float
        1 where all codes are equal.
    """
    if min(signs.shape) < 2 or not np.ptp(signs, axis=0).any():
        return np.zeros((len(signs), 2)), 1.0
    fitted = PCA(2, svd_solver="full")
    return fitted.fit_transform(signs), float(fitted.explained_variance_ratio_.sum())
