"""Checks what a method's ``project`` returns for a block of rows: real, finite numbers, ``n_bits`` a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.errors import ContractError

BLOCK_ROWS = 1024
"""Rows that are encoded at once."""


def checked_values(values: Any, shape: tuple[int, int], method: str) -> np.ndarray:
    """Return what ``project`` gave for a block, if it is an array of the right shape and of real numbers.

    Parameters
    ----------
    values : object
    shape : (int, int)
        Rows of the block, and ``n_bits``.
    method : str

    Raises
    ------
    ContractError
        ``values`` is not an array of that shape and of real numbers.
    """
    expected = f"expected an array of shape {shape} of real numbers"
    if not isinstance(values, np.ndarray):
        raise ContractError(f"{method}: project returned {type(values).__name__}, {expected}")
    if values.shape != shape:
        raise ContractError(f"{method}: project returned shape {values.shape}, {expected}")
    if values.dtype.kind not in "fiu":
        raise ContractError(f"{method}: project returned dtype {values.dtype}, {expected}")
    return values


def refuse_nonfinite_values(values: np.ndarray, first_row: int, method: str) -> None:
    """Refuse a block of projected values that holds NaN or infinity.

    Raises
    ------
    ContractError
        A value is NaN or infinite; the message names its row and bit.
    """
    if surely_finite(values):
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, bit = bad[0]
        raise ContractError(
            f"{method}: project returned {values[row, bit]} for row {first_row + row}, bit {bit}, though the row is "
            "finite; expected finite numbers"
        )


def surely_finite(block: np.ndarray) -> bool:
    """Return whether the sum of squares is finite: a cheap proof that a block holds no NaN or infinity."""
    if block.dtype.kind != "f":
        return True
    flat = block.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)))
