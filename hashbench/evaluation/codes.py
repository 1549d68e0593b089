"""Binary codes: checking them, and their form as 64-bit words."""

from __future__ import annotations

import numpy as np


def as_packed(codes: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Return packed codes and their number of bits, whatever form they came in.

    Parameters
    ----------
    codes : ndarray of shape (n, width)
        uint8: packed bytes, 8 bits each. bool: one bit an entry. Signed integers or floats: entries −1 and 1.
    name : str
        What to call the argument in an error.

    Returns
    -------
    packed : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int

    Raises
    ------
    ValueError
        Wrong shape or dtype, or a matrix that holds zeros: whether those mean −1 or "no bit" is not known.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] == 0:
        raise ValueError(f"{name} has shape {codes.shape}, expected (n, width) with width at least 1")
    if len(codes) == 0:
        raise ValueError(f"{name} has shape {codes.shape}: there is nothing to evaluate")
    if codes.dtype == np.uint8:
        return codes, 8 * codes.shape[1]
    if codes.dtype == bool:
        return np.packbits(codes, axis=1), codes.shape[1]
    if codes.dtype.kind not in "if":
        raise ValueError(
            f"{name} has dtype {codes.dtype}, expected uint8 (packed), bool, or a signed type holding -1 and 1"
        )
    if (codes == 0).any():
        row, column = np.argwhere(codes == 0)[0]
        raise ValueError(
            f"{name} holds a zero at ({row}, {column}): entries must be -1 and 1, since a zero is neither bit; "
            "break ties first, or pass bool for 0/1 codes"
        )
    if not np.isin(codes, (-1, 1)).all():
        raise ValueError(f"{name} holds values other than -1 and 1: pass signs, not projections")
    return np.packbits(codes > 0, axis=1), codes.shape[1]


def item_words(packed: np.ndarray) -> np.ndarray:
    """Return packed codes as (n, ceil(n_bits / 64)) uint64 words, padded with zero bytes."""
    n, width = packed.shape
    padded = np.zeros((n, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = packed
    return padded.view(np.uint64)


def word_major(packed: np.ndarray) -> np.ndarray:
    """Return packed codes as (n_words, n) uint64 words, the form that the kernels read."""
    return np.ascontiguousarray(item_words(packed).T)
