"""Facts about codes besides their scores: different codes, constant and duplicate bits, balance, correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.evaluation.counting.codes import item_words

BLOCK = 2**16
"""Codes that are unpacked at once; their products are exact in float32."""
MOST_BITS = 2**12
SHOWN = 8
"""Bits that a line names."""


@dataclass(frozen=True)
class CodeFacts:
    """What the codes of one part look like.

    Attributes
    ----------
    n_items, n_bits : int
    n_codes : int
        Different codes.
    ones : ndarray of shape (n_bits,), float64
        The share of ones in each bit.
    correlation : ndarray of shape (n_bits, n_bits), float64
        Pearson's, of each pair of bits; 0 where one of them is constant.
    duplicates : ndarray of shape (m, 2), int64
        Pairs of bits that are equal, or each other's inverse, in every code; neither is constant.
    """

    n_items: int
    n_bits: int
    n_codes: int
    ones: np.ndarray
    correlation: np.ndarray
    duplicates: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Bits that are the same in every code."""
        return np.flatnonzero((self.ones == 0) | (self.ones == 1))

    @property
    def brief(self) -> str:
        """Different codes, balance and the highest correlation, in less than a line."""
        said = f"{self.n_codes:,} different, ones are {self.ones.min():.1%} to {self.ones.max():.1%} of a bit's values"
        if self.n_bits > 1:
            most = np.abs(self.correlation[np.triu_indices(self.n_bits, 1)]).max()
            said += f", two bits correlate by {most:.3f} at most"
        return said

    def lines(self, what: str = "database") -> list[str]:
        """Return it for people: a line each for the codes and the bits' balance, and for what is odd.

        Parameters
        ----------
        what : str
            What the lines call the part.
        """
        n_pairs = self.n_bits * (self.n_bits - 1) // 2
        lines = self.odd_lines(what)
        if self.n_codes > 1:
            size = f"{what}: {self.n_items:,} codes of {self.n_bits} bits, {self.n_codes:,} of them different"
            lines.insert(0, size)
        lines.append(
            f"{what}: ones are {self.ones.min():.1%} to {self.ones.max():.1%} of a bit's values, "
            f"{np.abs(self.ones - 0.5).mean():.1%} off one half in the mean"
        )
        if n_pairs:
            above = np.abs(self.correlation[np.triu_indices(self.n_bits, 1)])
            at = np.argmax(above)
            pair = " and ".join(str(side[at]) for side in np.triu_indices(self.n_bits, 1))
            lines.append(
                f"{what}: two bits correlate by {above.mean():.3f} in the mean, regardless of sign, and by "
                f"{above.max():.3f} at most (bits {pair})"
            )
        return lines

    def odd_lines(self, what: str) -> list[str]:
        """Return those of the lines that say what is odd: equal codes, and constant or duplicate bits."""
        lines = []
        if self.n_codes == 1:
            size = f"{what}: {self.n_items:,} codes of {self.n_bits} bits"
            lines.append(f"{size}, all of them the same: every distance is 0")
        if len(self.constant):
            lines.append(f"{what}: {len(self.constant)} of {self.n_bits} bits are constant: {_named(self.constant)}")
        if len(self.duplicates):
            first = " and ".join(map(str, self.duplicates[0]))
            lines.append(
                f"{what}: {len(self.duplicates):,} of {self.n_bits * (self.n_bits - 1) // 2:,} pairs of bits are equal "
                f"or inverse in every code, bits {first} the first"
            )
        return lines


def code_lines(query_codes: np.ndarray, database_codes: np.ndarray, n_bits: int, brief: bool = False) -> list[str]:
    """Return lines on codes: all of those on the database, and of the queries what is odd.

    Parameters
    ----------
    query_codes, database_codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
    n_bits : int
        Beyond `MOST_BITS` pairs of bits are too many, and nothing is said.
    brief : bool
        Whether the first line says all of the database's codes that is not odd.
    """
    if n_bits > MOST_BITS:
        return []
    facts = code_facts(database_codes, n_bits)
    lines = [facts.brief, *facts.odd_lines("database")] if brief else facts.lines("database")
    return lines + (code_facts(query_codes, n_bits).odd_lines("queries") if len(query_codes) > 1 else [])


def code_facts(codes: np.ndarray, n_bits: int) -> CodeFacts:
    """Return what codes look like, in one pass over blocks of them.

    Parameters
    ----------
    codes : ndarray of shape (n, ceil(n_bits / 8)), uint8
        As `numpy.packbits` packs them; at least one.
    n_bits : int

    Examples
    --------
    >>> facts = code_facts(np.packbits(np.uint8([[1, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1]]), axis=1), 4)
    >>> facts.n_codes, facts.constant.tolist(), facts.duplicates.tolist()
    (2, [3], [[0, 1], [0, 2], [1, 2]])
    """
    n, both = len(codes), np.zeros((n_bits, n_bits))
    for start in range(0, n, BLOCK):
        bits = np.unpackbits(codes[start : start + BLOCK], axis=1, count=n_bits).astype(np.float32)
        both += bits.T @ bits
    ones = np.diag(both)
    covariance = n * both - np.outer(ones, ones)  # exact: whole numbers below 2**53
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    equal = (both == ones) & (both == ones[:, None])
    inverse = (both == 0) & (ones + ones[:, None] == n)
    pairs = np.argwhere(np.triu((equal | inverse) & (scale > 0), 1))
    return CodeFacts(n, n_bits, _n_different(codes), ones / n, correlation, pairs)


def _n_different(codes: np.ndarray) -> int:
    words = item_words(codes)
    rows = (words if words.shape[1] == 1 else words.view(f"V{8 * words.shape[1]}"))[:, 0]
    rows = np.sort(rows)  # one word is a number, which is sorted many times as fast as bytes
    return 1 + int(np.count_nonzero(rows[1:] != rows[:-1]))


def _named(bits: np.ndarray) -> str:
    return ", ".join(map(str, bits[:SHOWN])) + (" and others" if len(bits) > SHOWN else "")
