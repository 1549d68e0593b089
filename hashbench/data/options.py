"""Options of loading a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hashbench.data.look import Look, requested_look
from hashbench.data.similarity import SIMILARITIES
from hashbench.errors import InputError
from hashbench.options import option

READING = ("exif", "background", "grey_range", "image_column", "text_column", "label_column", "similarity")
"""Options that decide what a data set's files are read as; which of them one looks at, `HashDataset.reads` says."""


@dataclass(frozen=True)
class LoadOptions:
    """Where a data set's files are, and how they are split and prepared; the fields' help texts say what each is."""

    data_dir: Path | None = option(None, "Directory of the data set's files; for some data sets a single file.")
    cache_dir: Path | None = option(None, "Cache of data and features [env: HASHBENCH_CACHE].")
    download: bool = option(False, "Download missing data from the publisher.")
    protocol: str | None = option(
        None,
        'A protocol of the data set, see hashbench info; "NAME[number=value]" changes its draw. Default: the first.',
    )
    splits: Path | None = option(None, "Folder with query.txt, train.txt and database.txt, which replace the draw.")
    skip_broken: bool = option(False, "Leave out broken images and empty texts instead of refusing the data.")
    exif: bool = option(False, "Rotate your photographs by their EXIF orientation.")
    background: str | None = option(None, "Colour behind transparent images: a name, or #rrggbb. Default: white.")
    grey_range: str | None = option(
        None, "Grey images of more than 8 bits: full, or LOW,HIGH, the values that become black and white."
    )
    image_column: str | None = option(None, "Column of the images in parquet files.")
    text_column: str | None = option(None, "Column of the texts in a table.")
    label_column: str | None = option(
        None, "Column of the labels in a table or parquet file; none: ignore the labels of vectors."
    )
    similarity: str | None = option(
        None,
        "Similarity of your vectors: euclidean, cosine or ip. Default: the file's, or else euclidean.",
        choices=SIMILARITIES,
    )

    @property
    def look(self) -> Look:
        """How image files become pixels.

        Raises
        ------
        InputError
            The background is not a colour, or the grey range is not a range.
        """
        return requested_look(self.exif, self.background, self.grey_range)

    @property
    def reading(self) -> str:
        """What decides how files are read, apart from their content; empty where nothing was chosen."""
        return " ".join(f"{name}={value}" for name, value in self._chosen.items())

    @property
    def _chosen(self) -> dict[str, str | bool]:
        return {name: getattr(self, name) for name in READING if getattr(self, name)}

    def refuse_unread(self, dataset: str, reads: Sequence[str]) -> None:
        """Raise if something is chosen that a data set does not look at, or that cannot be.

        Parameters
        ----------
        dataset : str
        reads : sequence of str
            What it looks at, of `READING`.

        Raises
        ------
        InputError
            An option is set that the data set does not read, or its value cannot be used.
        """
        requested_look(self.exif, self.background, self.grey_range)
        for name in self._chosen:
            if name not in reads:
                raise InputError(f"--{name.replace('_', '-')}: {dataset} has no use for it; leave it out")
