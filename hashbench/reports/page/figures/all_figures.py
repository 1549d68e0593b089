"""All figures of a page or folder, with the same looks in all of its settings."""

from __future__ import annotations

from collections.abc import Sequence

from hashbench.reports.page.figures.bytes import figures_of_bytes
from hashbench.reports.page.figures.codes import figures_of_codes
from hashbench.reports.page.figures.curves import figures_of_curves
from hashbench.reports.page.figures.figure import Figure
from hashbench.reports.page.figures.looks import looks_of
from hashbench.reports.page.figures.scores import figures_of_scores
from hashbench.reports.page.figures.tuning import figures_of_tuning
from hashbench.reports.page.setting import Setting


def figures_of(settings: Sequence[Setting], codes: bool = True) -> list[list[Figure]]:
    """Return the figures of each setting.

    Parameters
    ----------
    settings : sequence of Setting
    codes : bool
        Whether to draw the codes themselves, too: a map of each row, and scores by class.
    """
    looks = looks_of(settings)
    return [
        [
            *figures_of_bytes(setting, looks),
            *figures_of_scores(setting, looks),
            *figures_of_curves(setting, looks),
            *figures_of_tuning(setting, looks),
            *(figures_of_codes(setting) if codes else ()),
        ]
        for setting in settings
    ]
