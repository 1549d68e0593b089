"""Seed variances of a board, each with what the others say of it: few seeds alone say little of their own variance.

Why these formulas, and how well they hold: the notes of `hashbench.evaluation.statistics.compare`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from hashbench.evaluation.studentized_range import chance_of_range
from hashbench.evaluation.variance import Sample

BOARD_DOF = 2.0
"""Degrees of freedom, at most, of what the other methods' variances say of a method's.

On the published boards the variances of different methods scatter as those of a prior with 1.8 to 2.8 degrees of
freedom do; ``python benchmarks/verdicts.py --boards`` estimates it, and `LENGTH_POWER`, again.
"""
LENGTH_POWER = 1.0
"""A seed's variance falls with this power of the code length; on the published boards with 0.8 to 1.3."""
LENGTH_OVERLAP = 0.5
"""The squared correlation that is assumed between a seed's effects at two code lengths.

Measured over 30 seeds on digits, by mAP@all at 16, 32 and 64 bits: 0.7 for AGH, whose anchors are one draw for all
lengths, and at most 0.3 for ITQ, LSH, RR, SpH, DGH and faiss's methods.
"""
LEVEL = 0.05
ALONE = 0.035
"""How often a method whose variance is far above all others' may be called different at this `LEVEL`."""
Board = Mapping[int, Mapping[str, Sample]]
"""Samples by code length and method."""


@dataclass(frozen=True)
class Known:
    """What a method's seeds say at one code length.

    Attributes
    ----------
    variance : float
        Of one seed's mean at a code length of one bit.
    dof : float
    """

    variance: float
    dof: float


class Lender:
    """What the seeds of a board say of each other.

    Parameters
    ----------
    board : mapping from int to mapping from str to Sample
        By code length and method.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.known: dict[str, dict[int, Known]] = {}
        for n_bits, column in board.items():
            for name, sample in column.items():
                if sample.n_seeds is not None and sample.is_finite and sample.seeds > 0:
                    variance = sample.seeds * sample.n_seeds * n_bits**LENGTH_POWER
                    self.known.setdefault(name, {})[n_bits] = Known(variance, sample.dof)
        self.typical = _typical(self.known)

    def sample(self, name: str, n_bits: int, n_means: int) -> Sample:
        """Return a sample with a variance that borrows from the method's other code lengths and the other methods.

        A sample without its own variance, of a deterministic method or a single seed, stays as it is.

        Parameters
        ----------
        name : str
            Of the method.
        n_bits : int
        n_means : int
            How many methods are compared with it in mind: with few of them less can be borrowed.
        """
        sample, by_length = self.board[n_bits][name], self.known.get(name, {})
        if n_bits not in by_length:
            return sample
        here, others = by_length[n_bits], [one for length, one in by_length.items() if length != n_bits]
        parts = [here, Known(self.typical, min(BOARD_DOF, most_borrowed(n_means, here.dof)))]
        if others:
            overlapping = 1 + (len(by_length) - 1) * LENGTH_OVERLAP
            parts.append(Known(_pooled(others), sum(one.dof for one in others) * (1 - LENGTH_OVERLAP) / overlapping))
        seeds = _pooled(parts) / n_bits**LENGTH_POWER / (sample.n_seeds or 1)
        return replace(sample, seeds=seeds, dof=sum(one.dof for one in parts))


def _typical(known: Mapping[str, Mapping[int, Known]]) -> float:
    """Return the mean of the methods' variances; the largest of four or more counts as the one below it."""
    variances = sorted(_pooled(of.values()) for of in known.values())
    if len(variances) >= 4:
        variances[-1] = variances[-2]
    return float(np.mean(variances)) if variances else np.nan


def _pooled(several: Iterable[Known]) -> float:
    each = list(several)
    return sum(one.variance * one.dof for one in each) / sum(one.dof for one in each)


@lru_cache(maxsize=1024)
def most_borrowed(n_means: int, dof: float) -> float:
    """Return with how many degrees of freedom other methods' variances may count, so that none is hurt much by it.

    A method whose true variance is far above all others' gets nothing but more degrees of freedom from them. Its
    difference from the others is then called real too often, unless the correction for the number of methods makes up
    for it: with many methods it does, with two it does not.

    Parameters
    ----------
    n_means : int
        How many methods are compared.
    dof : float
        Degrees of freedom of its own variance.

    Examples
    --------
    >>> [round(most_borrowed(n, 2), 1) for n in (2, 5, 20)]
    [0.0, 0.6, 1.6]
    """
    ends = -float(stdtrit(dof, ALONE / 2))

    def excess(borrowed: float) -> float:
        larger = np.sqrt((dof + borrowed) / dof)
        return chance_of_range(ends * larger, n_means, dof + borrowed) - LEVEL

    if n_means < 2 or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, 1000.0, xtol=1e-6))
