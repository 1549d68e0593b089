"""Labels of the user's vectors, read from their files and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hashbench.data.readers.arrays.stored_array import Contents, StoredArray
from hashbench.data.readers.labels.cells import LabelColumn, refuse_shape
from hashbench.data.readers.labels.find_labels import NONE, label_arrays
from hashbench.data.readers.labels.reading import Labels, read_labels
from hashbench.errors import InputError


def joined_labels(
    contents: Contents,
    parts: Mapping[str, StoredArray],
    names_of: Mapping[str, Sequence[str]],
    path: Path,
    chosen: str | None = None,
) -> tuple[Labels | None, list[str]]:
    """Return the labels of all parts.

    Parameters
    ----------
    contents : Contents
        Contents of the files.
    parts : dict from str to StoredArray
        The vectors of each part.
    names_of : dict from str to sequence of str
        Names of each part.
    path : Path
    chosen : str, optional
        The column that the user chose, or ``none``.

    Returns
    -------
    labels : Labels or None
        In the order of the parts; None where there are none, or none are wanted.
    sources : list of str
        The arrays, or columns, that they are.

    Raises
    ------
    InputError
        Some parts have labels and others do not, or `hashbench.data.readers.labels.reading.read_labels` refuses them.
    """
    if chosen == NONE:
        return None, []
    if chosen is not None and not contents.labels:
        raise InputError(f"--label-column {chosen}: {path} has no column of labels")
    arrays = _label_arrays(contents, parts, names_of, path)
    columns = {part: _columns(part, contents, arrays, names_of) for part in parts}
    if not any(columns.values()):
        return None, []
    missing = [part for part in parts if not columns[part]]
    if missing:
        labelled = ", ".join(part for part in parts if columns[part])
        raise InputError(f"{path} has labels of {labelled}, but no {missing[0]}_labels: label every part or none")
    for part, stored in parts.items():
        n_labels = sum(len(column.cells) for column in columns[part])
        if n_labels != stored.shape[0]:
            raise InputError(
                f"{columns[part][0].shown_as} has {n_labels} labels, {stored.shown_as} {stored.shape[0]} vectors"
            )
    labels = read_labels([column for part in parts for column in columns[part]])
    if "query" in parts:
        _refuse_bare_queries(labels.array[parts["database"].shape[0] :][: parts["query"].shape[0]], columns["query"])
    of_files = (column.shown_as.rpartition(": ")[2] for of_part in contents.labels.values() for column in of_part)
    return labels, list(dict.fromkeys([*arrays.values(), *of_files]))


def _label_arrays(
    contents: Contents, parts: Mapping[str, StoredArray], names_of: Mapping[str, Sequence[str]], path: Path
) -> dict[str, str]:
    """Return the names of the arrays that are labels, by part."""
    taken = {name for names in names_of.values() for name in names}
    words = {part: names_of[part] for part in parts}
    found = label_arrays([name for name in contents.arrays if name not in taken], words, str(path))
    if "" in found and "vectors" in parts:
        if "vectors" in found:
            raise InputError(f"{path} has both {found['vectors']} and {found['']}: remove one")
        found["vectors"] = found.pop("")
    elif "" in found and len(found) == 1 and not contents.labels:
        each = " and ".join(f"{part}_labels" for part in parts)
        raise InputError(f"{path} has {found['']} without saying of which part: give {each}")
    found.pop("", None)
    return found


def _columns(
    part: str, contents: Contents, arrays: Mapping[str, str], names_of: Mapping[str, Sequence[str]]
) -> list[LabelColumn]:
    """Return the labels of a part."""
    columns = [column for name in names_of[part] for column in contents.labels.get(name, [])]
    if part not in arrays:
        return columns
    stored = contents.arrays[arrays[part]]
    if columns:
        raise InputError(f"{stored.shown_as} and {columns[0].shown_as} are both labels of {part}: remove one")
    refuse_shape(stored.dtype, stored.shape, stored.shown_as)
    return [LabelColumn(stored.read(), stored.shown_as, lambda row: f"{stored.shown_as}: row {row}")]


def _refuse_bare_queries(labels: np.ndarray, columns: Sequence[LabelColumn]) -> None:
    """Raise if a query has none of the labels."""
    row = int(np.argmin(labels.any(axis=1))) if labels.ndim == 2 else 0
    if labels.ndim == 1 or labels[row].any():
        return
    for column in columns:
        if row < len(column.cells):
            raise InputError(f"{column.row_shown_as(row)} has no label: nothing is relevant to this query")
        row -= len(column.cells)
