"""Tables of a run or a leaderboard as an object: one line at a prompt, tables in a notebook, rows in a frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.reports.papers.formats import to_csv, to_html
from hashbench.reports.papers.grid import Grid

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Tables:
    """The tables of a run or a leaderboard; see `hashbench.show`.

    Attributes
    ----------
    source : Path
        Where they are from.
    grids : sequence of Grid
        A table for each setting and metric.
    """

    source: Path
    grids: Sequence[Grid]

    def __repr__(self) -> str:
        methods = {method for grid in self.grids for method in grid.scores}
        metrics = dict.fromkeys(grid.metric for grid in self.grids)
        return f"Tables({str(self.source)!r}, n_methods={len(methods)}, metrics={list(metrics)})"

    def _repr_html_(self) -> str:
        """Return the tables for notebooks."""
        return to_html(self.grids)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each score: setting, metric, method, code length, mean, std, seeds and verdict."""
        import pandas as pd

        return pd.read_csv(io.StringIO(to_csv(self.grids)), keep_default_na=False, na_values={"std": [""]})
