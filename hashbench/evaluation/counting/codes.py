"""Binary codes: checking them, and their form as 64-bit words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_BITS = 65_535
"""Distances are kept in 16 bits."""
SIGN_AS_BYTE, SURE = 255, 8
"""What -1 becomes in uint8, and how many bytes that are nothing but that or 1 are no accident."""
ROWS_AT_ONCE = 4096


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
        The shape or dtype is wrong; or the matrix holds zeros, which may mean −1 or "no bit"; or it is uint8 and holds
        only 1 and 255, which is what −1 becomes in that type.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] == 0:
        raise ValueError(f"{name} has shape {codes.shape}, expected (n, width) with width at least 1")
    if len(codes) == 0:
        raise ValueError(f"{name} has shape {codes.shape}: there is nothing to evaluate")
    if codes.dtype == np.uint8:
        _refuse_cast_signs(codes, name)
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


def _refuse_cast_signs(codes: np.ndarray, name: str) -> None:
    """Raise if packed codes are signs that were cast to uint8: each byte is then 1, or 255 for −1, and both occur."""
    for start in range(0, len(codes), ROWS_AT_ONCE):
        block = codes[start : start + ROWS_AT_ONCE]
        if not ((block == 1) | (block == SIGN_AS_BYTE)).all():
            return
    if codes.size >= SURE and (codes == 1).any() and (codes == SIGN_AS_BYTE).any():
        raise ValueError(
            f"{name} is uint8 and holds nothing but 1 and 255, which -1 becomes in that type: uint8 is read as packed "
            "bits; pass a signed type holding -1 and 1, or numpy.packbits(codes > 0, axis=1)"
        )


def item_words(packed: np.ndarray) -> np.ndarray:
    """Return packed codes as (n, ceil(n_bits / 64)) uint64 words, padded with zero bytes."""
    n, width = packed.shape
    padded = np.zeros((n, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = packed
    return padded.view(np.uint64)


def word_major(packed: np.ndarray) -> np.ndarray:
    """Return packed codes as (n_words, n) uint64 words, the form that the kernels read."""
    return np.ascontiguousarray(item_words(packed).T)


def refuse_bits_beyond(packed: np.ndarray, n_bits: int, name: str, first_row: int = 0) -> None:
    """Raise if a packed code has a bit at or beyond ``n_bits``: distances would pass n_bits.

    Parameters
    ----------
    packed : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int
    name : str
        What to call the argument in an error.
    first_row : int
        Row of the whole array at which ``packed`` begins.

    Raises
    ------
    ValueError
        A code has such a bit; the message names the row and the bit.
    """
    if packed.shape[1] != -(-n_bits // 8):
        raise ValueError(f"n_bits={n_bits} does not fit {name} of {packed.shape[1]} bytes")
    beyond = packed[:, -1] & np.uint8(0xFF >> (n_bits - 1) % 8 + 1)
    if beyond.any():
        row = int(np.argmax(beyond != 0))
        bit = 8 * packed.shape[1] - int(beyond[row]).bit_length()
        raise ValueError(
            f"{name} has bit {bit} set in row {first_row + row}, expected bits 0 to {n_bits - 1} and zeros after them"
        )


@dataclass(frozen=True)
class CodePair:
    """Packed codes of queries and database, of one length.

    Attributes
    ----------
    queries, database : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int
    """

    queries: np.ndarray
    database: np.ndarray
    n_bits: int

    @classmethod
    def of(cls, query_codes: np.ndarray, database_codes: np.ndarray, n_bits: int | None = None) -> CodePair:
        """Return codes of any form, packed; see `as_packed`.

        Raises
        ------
        ValueError
            The codes differ in length, are not ``n_bits`` long, or are longer than 65,535 bits.
        """
        queries, bits = as_packed(query_codes, "query_codes")
        database, database_bits = as_packed(database_codes, "database_codes")
        if bits != database_bits:
            raise ValueError(f"query_codes have {bits} bits and database_codes {database_bits}: expected the same")
        if bits > MAX_BITS:
            raise ValueError(f"query_codes have {bits} bits: codes of up to {MAX_BITS} bits can be scored")
        if n_bits is not None and -(-n_bits // 8) != queries.shape[1]:
            raise ValueError(f"n_bits={n_bits} does not fit codes of {queries.shape[1]} bytes")
        return cls(queries, database, n_bits or bits)

    def take(self, rows: np.ndarray) -> CodePair:
        """Return the same queries with some rows of the database."""
        return CodePair(self.queries, self.database[rows], self.n_bits)
