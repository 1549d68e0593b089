"""What the user's own vectors are measured by: the labels in the files, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hashbench.data.readers.arrays.stored_array import StoredArray
from hashbench.errors import InputError


def joined_labels(
    arrays: Mapping[str, StoredArray],
    parts: Mapping[str, StoredArray],
    names_of: Mapping[str, Sequence[str]],
    path: Path,
) -> np.ndarray | None:
    """Return the labels of all parts.

    Parameters
    ----------
    arrays : dict from str to StoredArray
        What the files hold.
    parts : dict from str to StoredArray
        The vectors of each part.
    names_of : dict from str to sequence of str
        What each part may be called.
    path : Path

    Returns
    -------
    ndarray of shape (n,), int64, or (n, n_labels), bool
        In the order of the parts; None where there are no labels.

    Raises
    ------
    InputError
        Labels are missing for some, are no classes and no marks, or are alike for all.
    """
    given_labels: dict[str, StoredArray] = {}
    for part in parts:
        names = [f"{name}_labels" for name in names_of[part]] + ["labels"] * (part == "vectors")
        given = [name for name in names if name in arrays]
        if len(given) > 1:
            raise InputError(f"{path} has both {given[0]} and {given[1]}: remove one")
        if given:
            given_labels[part] = arrays[given[0]]
    if not given_labels:
        return None
    missing = [part for part in parts if part not in given_labels]
    if missing:
        raise InputError(
            f"{path} has labels of {', '.join(given_labels)}, but no {missing[0]}_labels: label every part or none"
        )
    labels = [_labels(given_labels[part], parts[part]) for part in parts]
    first = given_labels[next(iter(parts))]
    for part, own in zip(parts, labels, strict=True):
        if own.shape[1:] != labels[0].shape[1:]:
            raise InputError(f"{given_labels[part].shown_as} has shape {own.shape}, {first.shown_as} {labels[0].shape}")
        if part == "query" and own.ndim == 2 and not own.any(axis=1).all():
            row = int(np.argmin(own.any(axis=1)))
            raise InputError(
                f"{given_labels[part].shown_as}: row {row} has no label: nothing is relevant to this query"
            )
    joined = np.concatenate(labels)
    same = joined.all(axis=0) if joined.ndim == 2 else np.array([(joined == joined[0]).all()])
    if same.any():
        which = int(np.argmax(same)) if joined.ndim == 2 else int(joined[0])
        raise InputError(f"{first.shown_as}: every row has the label {which}: all would be alike; give others or none")
    return joined


def _labels(stored: StoredArray, vectors: StoredArray) -> np.ndarray:
    """Return labels as int64 classes (n,), or as a bool matrix (n, n_labels)."""
    if len(stored.shape) not in (1, 2) or stored.dtype.kind not in "iub":
        raise InputError(
            f"{stored.shown_as} is {stored.dtype} of shape {stored.shape}, expected whole numbers (n,), one class "
            "each, or a matrix (n, n_labels) of 0 and 1"
        )
    if stored.shape[0] != vectors.shape[0]:
        raise InputError(
            f"{stored.shown_as} has {stored.shape[0]} labels, {vectors.shown_as} {vectors.shape[0]} vectors"
        )
    labels = stored.read()
    if labels.ndim == 1:
        unusable = (labels < 0) | (labels > np.iinfo(np.int64).max) if labels.dtype.kind in "iu" else labels < 0
        if unusable.any():
            row = int(np.argmax(unusable))
            raise InputError(f"{stored.shown_as}: row {row} is {labels[row]}, expected classes from 0 to 2**63 - 1")
        return labels.astype(np.int64)
    odd = ~np.isin(labels, (0, 1)).all(axis=1)
    if odd.any():
        raise InputError(f"{stored.shown_as}: row {np.argmax(odd)} holds values other than 0 and 1")
    return labels.astype(bool)
