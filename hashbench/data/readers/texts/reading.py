"""Reads the user's texts, whichever form they have."""

from __future__ import annotations

from pathlib import Path

from hashbench.data.items import Items
from hashbench.data.readers.texts.files import FILES, list_file
from hashbench.data.readers.texts.folders import list_folder
from hashbench.data.readers.texts.word_counts import read_word_counts
from hashbench.errors import InputError

COUNTS = ".mat"


def read_texts(
    source: Path,
    column: str | None = None,
    label: str | None = None,
    skip_empty: bool = False,
    scratch: Path | None = None,
) -> Items:
    """Read texts and their labels, or the word counts of a MATLAB file.

    Parameters
    ----------
    source : Path
        A file that ends in one of `FILES` or in `COUNTS`, or a folder.
    column, label : str, optional
        Columns of a table that have unusual names.
    skip_empty : bool
        Whether empty texts are left out, instead of refused.
    scratch : Path, optional
        Folder of the dense copy of word counts.

    Returns
    -------
    Items
        With texts as images, or with word counts as features.

    Raises
    ------
    InputError
        The source cannot be read, or has no usable texts or labels.
    """
    if source.is_dir():
        return list_folder(source, column, label, skip_empty).items()
    suffix = source.suffix.lower()
    if not source.is_file() or suffix not in (*FILES, COUNTS):
        raise InputError(
            f"--data-dir {source}: expected a file that ends in {', '.join((*FILES, COUNTS))}, or a folder of class "
            "folders"
        )
    if suffix != COUNTS:
        return list_file(source, column, label, skip_empty).items()
    for option, name in (("--text-column", column), ("--label-column", label)):
        if name is not None:
            raise InputError(f"{option} {name}: {source} has matrices and no columns; leave it out")
    return read_word_counts(source, scratch)
