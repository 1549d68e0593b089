"""Which parameters mattered: the share of the variance of scores that one parameter alone explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hashbench.contract.search_space import Choice, Range
from hashbench.tuning.study import Study

LEAST = 6
"""Trials with a score from which importances are computed."""


def importances(study: Study) -> dict[str, float]:
    """Return for each parameter the share of the variance of the trials' scores that it explains, largest first.

    It is the adjusted R² of a parabola in the parameter (in its logarithm if its range is logarithmic), or of the means
    of a choice's values; below 0 counts as 0. Interactions of parameters count for none of them. Forests as in fANOVA
    need more trials than a usual budget has.

    Returns
    -------
    dict of str to float
        Empty if fewer than `LEAST` trials have a score, or all scores are equal.
    """
    scored = [trial for trial in study.trials if trial.score is not None]
    scores = np.array([trial.score for trial in scored], float)
    if len(scored) < LEAST or np.ptp(scores) == 0:
        return {}
    shares = {
        name: _explained([trial.params[name] for trial in scored], scores, one)
        for name, one in study.subject.space.items()
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _explained(values: Sequence[Any], scores: np.ndarray, one: Range | Choice) -> float:
    if isinstance(one, Choice):
        design = np.array([[repr(value) == repr(other) for other in one.values] for value in values], float)
    else:
        position = np.array([math.log(value) if one.log else value for value in values], float)
        position = (position - position.mean()) / (np.ptp(position) or 1.0)
        design = np.stack([np.ones_like(position), position, position**2], axis=1)
    fitted = design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    n_free = len(scores) - np.linalg.matrix_rank(design)
    if n_free < 1:
        return 0.0
    residual, total = ((scores - fitted) ** 2).sum() / n_free, scores.var(ddof=1)
    return float(max(0.0, 1 - residual / total))
