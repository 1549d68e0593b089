"""Codes in any form as packed bits: 0 and 1, -1 and 1, bool, packed bytes, or the real outputs of a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hashbench.errors import InputError
from hashbench.evaluation.counting.codes import MAX_BITS, refuse_bits_beyond

BLOCK_VALUES = 2**22
SURE_ROWS = 16
"""Rows from which a bit that is 0 in all of them is no accident."""
SURE_VALUES = 64
"""Bytes from which two or three different values are no accident."""
SIGN_AS_BYTE = 255
"""What -1 becomes in uint8."""


@dataclass(frozen=True)
class Codes:
    """Codes of one part.

    Attributes
    ----------
    packed : ndarray of shape (n, ceil(n_bits / 8)), uint8
        As `numpy.packbits` packs them, zeros after the last bit.
    n_bits : int
    form : str
        What the values were, for people, such as ``-1 and 1``.
    notes : list of str
        What was decided where that is not plain.
    lowest_first : bool
        Whether the file packs bits from the lowest of a byte up, so that the bytes were turned.
    """

    packed: np.ndarray
    n_bits: int
    form: str
    notes: list[str] = field(default_factory=list)
    lowest_first: bool = False


def as_codes(array: np.ndarray, shown_as: str, n_bits: int | None = None, lowest_first: bool | None = None) -> Codes:
    """Return codes of any form.

    Parameters
    ----------
    array : ndarray of shape (n, width)
    shown_as : str
        What a message calls the array.
    n_bits : int, optional
        The code length; needed for packed codes whose length is no multiple of 8.
    lowest_first : bool, optional
        Whether packed bytes have the first bit lowest, as MATLAB's ``bitset`` packs them; found out by default.

    Raises
    ------
    InputError
        The array is not a matrix, holds NaN, or its values are no bits.
    """
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{shown_as} has shape {array.shape}, expected a matrix of codes, a row for each item")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{shown_as} holds {array.dtype}, expected numbers")
    if n_bits is not None and n_bits not in (array.shape[1], *_lengths_of(array.shape[1])):
        raise InputError(
            f"{shown_as} has {array.shape[1]} columns, --bits {n_bits} needs {n_bits}, a value for each bit, or "
            f"{-(-n_bits // 8)}, packed bytes"
        )
    if array.dtype != bool:
        _refuse_not_finite(array, shown_as)
    packed_length = n_bits is not None and n_bits != array.shape[1]
    values = None if array.dtype == bool or packed_length else _few_values(array)
    if array.dtype == bool:
        codes = _of_bits(array, "true and false", shown_as)
    elif packed_length or _is_packed(array, values):
        return _of_bytes(array, shown_as, n_bits, lowest_first)
    elif values is None:
        codes = _of_outputs(array, shown_as)
    else:
        codes = _of_few(array, values, shown_as)
    return codes


def _lengths_of(n_bytes: int) -> range:
    """Return the code lengths that so many packed bytes can hold."""
    return range(8 * n_bytes - 7, 8 * n_bytes + 1)


def _blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, BLOCK_VALUES // array.shape[1])
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step])


def _refuse_not_finite(array: np.ndarray, shown_as: str) -> None:
    for start, block in _blocks(array):
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"{shown_as} holds {block[row, column]} in row {start + row}, column {column}: a value that is not "
                "finite has no sign; encode again"
            )


def _few_values(array: np.ndarray) -> list[float] | None:
    """Return the different values, ascending, where there are up to three; else None."""
    values: list[float] = []
    for _, block in _blocks(array):
        known = np.zeros(block.shape, bool)
        for value in values:
            known |= block == value
        while not known.all():
            values.append(block.flat[int(np.argmin(known))].item())
            if len(values) > 3:
                return None
            known |= block == values[-1]
    return sorted(values)


def _is_packed(array: np.ndarray, values: list[float] | None) -> bool:
    """Return whether a matrix is packed bytes: uint8, and not just a few values that mean bits."""
    if array.dtype != np.uint8:
        return False
    return values is None or (array.size < SURE_VALUES and not set(values) <= {0, 1})


def _of_bits(bits: np.ndarray, form: str, shown_as: str, notes: list[str] | None = None) -> Codes:
    """Return codes of a matrix of truth values, or of numbers whose positive ones are 1."""
    n, width = bits.shape
    if width > MAX_BITS:
        raise InputError(f"{shown_as} has codes of {width:,} bits, up to {MAX_BITS:,} can be scored")
    packed = np.empty((n, -(-width // 8)), np.uint8)
    for start, block in _blocks(bits):
        packed[start : start + len(block)] = np.packbits(block > 0, axis=1)
    return Codes(packed, width, form, notes or [])


def _of_few(array: np.ndarray, values: list[float], shown_as: str) -> Codes:
    """Return codes of a matrix of one, two or three different values."""
    if set(values) <= {0, 1}:
        return _of_bits(array, "0 and 1", shown_as)
    if set(values) <= {-1, 1}:
        return _of_bits(array, "-1 and 1", shown_as)
    if set(values) == {1, SIGN_AS_BYTE} and array.dtype == np.uint8:
        note = f"{shown_as} is uint8 and holds 1 and 255, which -1 becomes in that type; 255 is read as -1"
        return _of_bits(array == 1, "-1 and 1", shown_as, [note])
    shown = ", ".join(f"{value:g}" for value in values)
    if values == [-1, 0, 1]:
        n_zero = sum(int(np.count_nonzero(block == 0)) for _, block in _blocks(array))
        raise InputError(
            f"{shown_as} holds -1, 0 and 1, {n_zero:,} zeros among {array.size:,} values: a 0, such as the sign of an "
            "output that is exactly 0, is neither bit; write -1 or 1 for it, or give the outputs themselves"
        )
    if len(values) == 2 and values[0] < 0 < values[1]:
        return _of_outputs(array, shown_as)
    raise InputError(
        f"{shown_as} holds {'the value' if len(values) == 1 else f'{len(values)} different values,'} {shown}: expected "
        "0 and 1, or -1 and 1, or packed bytes as uint8, or the real outputs of a network"
    )


def _of_outputs(array: np.ndarray, shown_as: str) -> Codes:
    """Return the signs of real values."""
    low, high, n_zero, whole = np.inf, -np.inf, 0, True
    for _, block in _blocks(array):
        low, high = min(low, block.min()), max(high, block.max())
        n_zero += int(np.count_nonzero(block == 0))
        whole = whole and bool((block == np.floor(block)).all())
    if whole:
        packed = low >= 0 and high <= 255
        advice = f"for packed bytes say --bits, such as --bits {8 * array.shape[1]}" if packed else "give the signs"
        raise InputError(f"{shown_as} is {array.dtype} with whole numbers {low:g} to {high:g}, no bits: {advice}")
    if low >= 0 or high <= 0:
        raise InputError(
            f"{shown_as} holds real values from {low:g} to {high:g}, all of one sign: give the bits, such as x > 0.5 "
            "of a sigmoid's outputs"
        )
    notes = [f"{shown_as}: real values, of which the sign is the bit"]
    if n_zero:
        notes = [f"{notes[0]}; {n_zero:,} of {array.size:,} values are exactly 0, which is read as -1"]
    return _of_bits(array, "signs of real values", shown_as, notes)


def _of_bytes(array: np.ndarray, shown_as: str, n_bits: int | None, lowest_first: bool | None) -> Codes:
    """Return codes that are packed already."""
    if array.dtype != np.uint8:
        if any(((block < 0) | (block > 255) | (block != np.floor(block))).any() for _, block in _blocks(array)):
            raise InputError(
                f"{shown_as} is {array.dtype} and holds values that are no bytes; --bits says packed bytes"
            )
        array = array.astype(np.uint8)
    last = np.bitwise_or.reduce(array[:, -1])
    if n_bits is None:
        _refuse_padding(int(last), len(array), array.shape[1], shown_as)
        n_bits = 8 * array.shape[1]
    rest = 8 * array.shape[1] - n_bits
    beyond, unused = int(last) & ((1 << rest) - 1), int(last) >> (8 - rest)
    if lowest_first is None:
        lowest_first = bool(beyond and not unused)
    if lowest_first and rest:
        if unused:
            raise InputError(f"{shown_as} has bits beyond --bits {n_bits}: give the right code length")
        bits = np.unpackbits(array, axis=1, count=n_bits, bitorder="little")
        note = f"{shown_as}: bits are packed from the lowest up, as MATLAB's bitset does"
        return Codes(np.packbits(bits, axis=1), n_bits, "packed bytes", [note], lowest_first=True)
    try:
        refuse_bits_beyond(array, n_bits, shown_as)
    except ValueError as error:
        raise InputError(f"{error}: give the right --bits") from error
    return Codes(np.ascontiguousarray(array), n_bits, "packed bytes")


def _refuse_padding(last: int, n: int, n_bytes: int, shown_as: str) -> None:
    """Raise if bits at an end of the last byte are 0 in all codes, which may be padding."""
    low = 8 if not last else (last & -last).bit_length() - 1
    n_padding = max(low, 8 - last.bit_length())
    if n >= SURE_ROWS and 0 < n_padding < 8:
        raise InputError(
            f"{shown_as} is packed, and {n_padding} bits at the end of the last byte are 0 in all {n:,} codes: say "
            f"--bits {8 * n_bytes - n_padding} if they are padding, --bits {8 * n_bytes} if they are bits of the code"
        )
