"""The distribution of the largest difference among equal means: what the choice of the best adds to a test."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, stdtrit

HIGHEST = np.linspace(-9.0, 9.0, 181)
"""The range in which the highest of several standard normal values may be."""
LOG_RANGES = np.linspace(np.log(1e-3), np.log(40.0), 1000)
"""Ranges between which the distribution is interpolated; smaller ones are certain, larger ones never happen."""
N_SCALES = 401
LARGEST_DOF = 1e9
"""More degrees of freedom than these are as good as a variance that is known."""


def chance_of_range(t: float, n_means: int, dof: float) -> float:
    """Return the chance that some two of several equal means differ by more than t standard errors of a difference.

    It is the upper tail of the studentized range at t √2 (Tukey, The Problem of Multiple Comparisons, 1953): the range
    of n_means normal values of variance 1, divided by an independent estimate of their standard deviation.

    Parameters
    ----------
    t : float
        From 0 on.
    n_means : int
        At least 2.
    dof : float
        Degrees of freedom of the variance's estimate; need not be whole, may be infinite.

    Returns
    -------
    float
        With a relative error below .001, however small it is.

    Examples
    --------
    >>> round(chance_of_range(2.776, 2, 4), 3), round(chance_of_range(2.776, 20, 4), 3)
    (0.05, 0.528)
    """
    scales, weights = _scales(min(dof, LARGEST_DOF))
    with np.errstate(divide="ignore"):
        log_ranges = np.log(t * np.sqrt(2)) + scales
    chances = np.exp(np.interp(log_ranges, LOG_RANGES, _log_chances(n_means), left=0.0, right=-np.inf))
    return float(np.minimum(chances @ weights, 1.0))


def largest_of(p_value: float, n_means: int, dof: float) -> float:
    """Return a difference's p value, corrected for its being the largest among several means.

    Parameters
    ----------
    p_value : float
        Two-sided, of the difference alone.
    n_means : int
    dof : float
        Degrees of freedom of its variance.

    Returns
    -------
    float
        For two means the p value itself.
    """
    if n_means == 2:
        return p_value
    t = -float(stdtrit(min(dof, LARGEST_DOF), p_value / 2))
    return max(p_value, chance_of_range(t, n_means, dof))


def _scales(dof: float) -> tuple[np.ndarray, np.ndarray]:
    """Return logarithms of estimated standard deviations, whose true value is 1, and their weights."""
    width = np.sqrt(2 / dof)
    top = min(10 * width, np.log1p(80 / dof) + 6 * width)
    log_variances = np.linspace(-80 / dof - 10 * width, top, N_SCALES)
    density = np.exp(dof / 2 * (log_variances - np.expm1(log_variances)))
    return log_variances / 2, density / density.sum()


@lru_cache(maxsize=256)
def _log_chances(n_means: int) -> np.ndarray:
    """Return the logarithm of the chance of a range above each of `LOG_RANGES`, the variance being known."""
    below = log_ndtr(HIGHEST)
    density = n_means * np.exp((n_means - 1) * below - np.square(HIGHEST) / 2) / np.sqrt(2 * np.pi)
    step = HIGHEST[1] - HIGHEST[0]
    ratio = np.exp(log_ndtr(HIGHEST - np.exp(LOG_RANGES)[:, None]) - below)
    lower = -np.expm1((n_means - 1) * np.log1p(-np.minimum(ratio, 1 - 1e-16)))
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(lower @ density * step), 0.0)
