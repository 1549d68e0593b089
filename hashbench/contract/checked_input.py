"""Input of methods and quantizers, checked: rows of real, finite numbers, and the names of their columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.contract.values import BLOCK_ROWS, surely_finite
from hashbench.errors import Unsupported, shorten


def column_names(X: Any) -> np.ndarray | None:
    """Return the names of a table's columns, (d,) object; None for what has none, or numbers for names.

    Raises
    ------
    TypeError
        Some column names are text and others are not.
    """
    names = list(getattr(X, "columns", ()))
    texts = [isinstance(name, str) for name in names]
    if any(texts) and not all(texts):
        odd = names[texts.index(False)]
        raise TypeError(f"X has columns named by text and others, such as {odd!r}: name all of them by text")
    return np.array(names, object) if names and all(texts) else None


def refuse_other_columns(fitted: np.ndarray | None, given: np.ndarray | None) -> None:
    """Refuse a table whose columns are not those of the training table, in its order; without names nothing is known.

    Raises
    ------
    ValueError
        The names differ from those of the training table; the message is scikit-learn's.
    """
    if fitted is None or given is None or np.array_equal(fitted, given):
        return
    reasons = {
        "Feature names unseen at fit time": sorted(set(given) - set(fitted)),
        "Feature names seen at fit time, yet now missing": sorted(set(fitted) - set(given)),
    }
    reasons_shown = [f"{why}: {shorten(', '.join(names))}" for why, names in reasons.items() if names]
    reasons_shown = reasons_shown or ["Feature names must be in the same order as they were in fit"]
    raise ValueError(f"The feature names should match those that were passed during fit. {'. '.join(reasons_shown)}.")


def as_matrix(X: Any, name: str = "X") -> Any:
    """Return an array-like as an array of real numbers; an array on disk stays there.

    Parameters
    ----------
    X : array-like
        An array, or what reads like one by rows, stays what it is; lists and tables become arrays.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        The array is sparse, holds masked values, or holds anything but real numbers.
    """
    if hasattr(X, "tocsr"):
        raise ValueError(f"Sparse data was passed for {name}, but dense data is required: convert it with .toarray()")
    if isinstance(X, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(X)
        if hidden.any():
            row = int(np.argwhere(hidden)[0][0])
            raise ValueError(f"{name} holds masked values, first in row {row}: fill them, or leave their rows out")
        X = X.data
    elif not isinstance(getattr(X, "dtype", None), np.dtype) or not hasattr(X, "ndim"):
        X = from_python(X, name)
    if X.dtype.kind == "O":
        X = from_python(X.tolist(), name)
    if X.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {X.dtype}, expected a real number type")
    return X


def from_python(values: Any, name: str) -> np.ndarray:
    """Return lists, tables and the like as an array."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of unequal lengths, among others
        raise ValueError(f"{name} is no matrix of numbers ({shorten(str(error), 200)})") from error


def checked_vectors(X: Any, method: str) -> np.ndarray:
    """Return training vectors as ``fit`` takes them.

    Parameters
    ----------
    X : array-like of shape (n, d)
    method : str
        Who is fitted, for the message.

    Returns
    -------
    ndarray of shape (n, d), float32
        C-contiguous; ``X`` itself where it is that already.

    Raises
    ------
    Unsupported
        ``X`` has fewer than 2 rows.
    ValueError
        ``X`` is not a matrix of finite real numbers.
    """
    X = as_matrix(X)
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}, expected (n_samples, n_features)")
    if len(X) < 2:
        raise Unsupported(f"n_samples={len(X)}: {method} needs at least 2 training rows")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        vectors = np.ascontiguousarray(X, dtype=np.float32)
    for start in range(0, len(X), BLOCK_ROWS):
        refuse_nonfinite(vectors[start : start + BLOCK_ROWS], start, X)
    return vectors


def block_of(X: Any, start: int) -> np.ndarray:
    """Return the block of rows that begins at ``start``, C-contiguous float32; beyond its range is infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(X[start : start + BLOCK_ROWS], dtype=np.float32)


def refuse_nonfinite(block: np.ndarray, first_row: int, X: Any) -> None:
    """Refuse a block of input that holds NaN or infinity, or did before it became float32.

    Parameters
    ----------
    block : ndarray of shape (n, d), float32
    first_row : int
    X : array-like of shape (m, d)
        What the block is of, in the type that it came in.

    Raises
    ------
    ValueError
        The block holds NaN, infinity or a value beyond float32; the message names the first such row.
    """
    if surely_finite(block):
        return
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        row = first_row + int(np.argmax(bad))
        given = np.asarray(X[row])
        if np.isfinite(given).all():
            most = given[np.argmax(np.abs(given))]
            raise ValueError(f"X holds {most} in row {row}, beyond what float32 holds (3.4e38): scale X down")
        raise ValueError(f"X holds NaN or infinite values, first in row {row}")
