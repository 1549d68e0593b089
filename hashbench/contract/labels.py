"""Labels of training rows, checked: their form, and whether they are what a method learns from."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from hashbench.contract.checked_input import as_matrix, from_python

LABELS = ("classes", "multilabel", "any")
"""What ``labels`` of a method's class may say: one class an item, several labels an item, or either."""
SUPERVISION = ("unsupervised", "supervised")


def checked_labels(y: Any, n: int, method: str) -> np.ndarray:
    """Return labels as ``fit`` of a supervised method takes them.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_labels)
        Classes as whole numbers from 0; or marks, of which labels an item has: bools, or 0 and 1. A column (n, 1) of
        classes is taken for (n,), with scikit-learn's warning.
    n : int
        Number of training rows.
    method : str
        Who is fitted, for messages.

    Returns
    -------
    ndarray of shape (n,), int64, or (n, n_labels), bool
        Classes are numbered from 0 without gaps, in ascending order of the given ones.

    Raises
    ------
    ValueError
        ``y`` is None, or is neither one class per row nor a matrix of marks; or a class is negative.
    """
    if y is None:
        raise ValueError(f"{method} learns from labels: give y, a label for each row of X")
    expected = f"expected ({n},), a class for each row of X, or ({n}, n_labels), marks"
    y = from_python(y, "y") if not isinstance(y, np.ndarray) else y
    if y.dtype.kind in "SU":
        raise ValueError(f"y has dtype {y.dtype}, {expected}: number texts, as scikit-learn's LabelEncoder does")
    y = y if y.dtype.kind == "b" else as_matrix(y, "y")
    if y.ndim not in (1, 2) or len(y) != n or 0 in y.shape:
        raise ValueError(f"y has shape {y.shape}, {expected}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise ValueError(f"y holds NaN or infinite values, first in row {row}: leave out rows without a label")
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "b":
        _warn_of_column()
        y = y[:, 0]
    if y.ndim == 2:
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"y has shape {y.shape} and holds others than 0 and 1, {expected}")
        return y.astype(bool)
    classes = y.astype(np.int64)
    if (classes != y).any():
        row = int(np.argmax(classes != y))
        raise ValueError(f"y holds {y[row]} in row {row}: expected classes, which are whole numbers")
    if classes.min() < 0:
        row = int(np.argmax(classes < 0))
        raise ValueError(f"y holds {y[row]} in row {row}: expected classes from 0; leave out rows without a label")
    return np.unique(classes, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _warn_of_column() -> None:
    from sklearn.exceptions import DataConversionWarning

    text = "A column-vector y was passed when a 1d array was expected; it is taken for one of shape (n_samples,)."
    warnings.warn(text, DataConversionWarning, stacklevel=5)


def n_classes_of(y: np.ndarray) -> int:
    """Return how many classes, or labels, `checked_labels` has found."""
    return y.shape[1] if y.ndim == 2 else int(y.max()) + 1


def marks_of(y: np.ndarray) -> np.ndarray:
    """Return checked labels as marks of which labels each item has, (n, n_classes) bool; classes become one-hot rows.

    Parameters
    ----------
    y : ndarray of shape (n,), int64, or (n, n_labels), bool
    """
    return y if y.ndim == 2 else y[:, None] == np.arange(n_classes_of(y))


def label_problem(method: Any, y: np.ndarray) -> str:
    """Return why a method cannot learn from some labels, on one line; an empty text where it can.

    Parameters
    ----------
    method : HashMethod
        Its class says what it needs, by ``labels``, ``items_per_class`` and ``classes_per_bit``.
    y : ndarray of shape (n,), int64, or (n, n_labels), bool
        As `checked_labels` returns them.
    """
    if y.ndim == 2 and method.labels == "classes":
        return f"{method.name} learns from one class an item; this data has several labels an item"
    if y.ndim == 1 and method.labels == "multilabel":
        return f"{method.name} learns from several labels an item; this data has one class an item"
    if (y == y[0]).all():
        return f"{method.name} learns from differences between labels; all {len(y)} training items have the same"
    n_items = y.sum(axis=0) if y.ndim == 2 else np.bincount(y)
    fewest = int(n_items[n_items > 0].min())
    if fewest < method.items_per_class:
        return f"{method.name} needs {method.items_per_class} training items of each class; one has {fewest}"
    most = None if method.classes_per_bit is None else int(method.classes_per_bit * method.n_bits)
    if most is not None and len(n_items) > most:
        return f"n_bits={method.n_bits}: {method.name} tells at most {most} classes apart, there are {len(n_items)}"
    return ""
