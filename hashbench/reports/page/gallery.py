"""A gallery: some queries, and what each method finds nearest to them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from hashbench.data.dataset import Dataset
from hashbench.reports.page.figures.codes import class_matrix, classes_in
from hashbench.reports.page.setting import Setting
from hashbench.results.rows import Row

N_QUERIES, DEPTH, SIDE = 6, 10, 64
"""Queries that are shown, items of each ranking, pixels of an image's longer side at most."""


@dataclass(frozen=True)
class Gallery:
    """What a gallery shows; images by their row in the data set.

    Attributes
    ----------
    queries : list of dict
        ``row``, ``label``.
    rankings : list of dict
        ``method``, ``bits``, ``query`` (its number here) and ``items``: each ``[row, distance, relevant]``; ``ties``
        says how many items share the last distance and are not shown.
    images : dict from str to str
        Data URIs of PNG files.
    """

    queries: list[dict[str, Any]]
    rankings: list[dict[str, Any]]
    images: dict[str, str]


def make_gallery(setting: Setting, dataset: Dataset) -> Gallery:
    """Return the gallery of a setting.

    Parameters
    ----------
    setting : Setting
        Of a run.
    dataset : Dataset
        Whose images are shown; the run's own.
    """
    assert setting.store is not None
    split = dataset.split
    chosen = _spread(dataset)
    queries: list[dict[str, Any]] = [
        {"row": int(split.query[n]), "label": _label(dataset, int(split.query[n]))} for n in chosen
    ]
    rankings: list[dict[str, Any]] = []
    rows: set[int] = {query["row"] for query in queries}
    for row in filter(ranks_by_codes, setting.rows):
        arrays = setting.store.arrays(row.records[0].id)
        for number, n in enumerate(chosen):
            ranking = _ranking(arrays["query_codes"][n], arrays["database_codes"])
            relevant = _relevant(dataset, n, ranking["items"])
            items = [
                [int(split.database[item]), int(distance), bool(hit)]
                for item, distance, hit in zip(ranking["items"], ranking["distances"], relevant, strict=True)
            ]
            rows.update(item[0] for item in items)
            rankings.append(
                {"method": row.label, "bits": row.n_bits, "query": number, "items": items, "ties": ranking["ties"]}
            )
    return Gallery(queries, rankings, _images(dataset, sorted(rows)))


def ranks_by_codes(row: Row) -> bool:
    """Return whether a row's ranking is by the Hamming distances of its codes."""
    return "distance" not in row.records[0].config


def _spread(dataset: Dataset) -> list[int]:
    """Return queries of different classes as far as there are some, the first of each."""
    firsts = [] if dataset.labels is None else _first_of_each(np.asarray(dataset.labels)[dataset.split.query])
    return list(dict.fromkeys([*firsts, *range(len(dataset.split.query))]))[:N_QUERIES]


def _first_of_each(labels: np.ndarray) -> list[int]:
    """Return the first item of each class."""
    if labels.ndim == 1:
        return np.unique(labels, return_index=True)[1].tolist()
    return class_matrix(labels, classes_in(labels)).argmax(axis=0).tolist()


def _label(dataset: Dataset, row: int) -> str:
    return "" if dataset.labels is None else ", ".join(map(str, classes_in(np.asarray(dataset.labels[[row]]))))


def _ranking(query: np.ndarray, database: np.ndarray) -> dict[str, Any]:
    """Return the nearest items, ties in the database's order, and how many more are as near as the last."""
    distances = np.unpackbits(database ^ query, axis=1).sum(axis=1)
    items = distances.argsort(kind="stable")[:DEPTH]
    last = distances[items[-1]]
    ties = int((distances == last).sum() - (distances[items] == last).sum())
    return {"items": items, "distances": distances[items], "ties": ties}


def _relevant(dataset: Dataset, query: int, items: np.ndarray) -> np.ndarray:
    if dataset.labels is None:
        assert dataset.neighbors is not None
        return np.isin(items, dataset.neighbors[query])
    query_labels, labels = dataset.labels[dataset.split.query[query]], dataset.labels[dataset.split.database[items]]
    return labels == query_labels if labels.ndim == 1 else (labels & query_labels).any(axis=1)


def _images(dataset: Dataset, rows: Sequence[int]) -> dict[str, str]:
    assert dataset.images is not None
    return {str(row): _data_uri(np.asarray(dataset.images[np.array([row])][0])) for row in rows}


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
