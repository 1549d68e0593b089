"""How a data set is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hashbench.options import option


@dataclass(frozen=True)
class LoadOptions:
    """Where a data set's files are, and how they are split and prepared; the fields' help texts say what each is."""

    data_dir: Path | None = option(None, "Where the data set's files are; for some data sets one file.")
    cache_dir: Path | None = option(None, "Cache of data and features [env: HASHBENCH_CACHE].")
    download: bool = option(False, "Fetch missing data from the publisher.")
    protocol: str | None = option(
        None, 'One of the data set\'s, see hashbench info; "NAME[number=value]" changes its draw. Default: its first.'
    )
    splits: Path | None = option(None, "Folder with query.txt, train.txt, database.txt, instead of the draw.")
    skip_broken: bool = option(False, "Leave broken images out, instead of refusing the data.")
