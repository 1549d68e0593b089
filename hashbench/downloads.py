"""Where a data set's files are: the directory that the user names, or one that they are downloaded to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hashbench.data_plugin import LoadOptions
from hashbench.errors import InputError


def data_directory(options: LoadOptions, name: str, needs: str, fetch: Callable[[str], object] | None = None) -> Path:
    """Return the directory of a data set's files, downloading into it where the user asks for that.

    Parameters
    ----------
    options : LoadOptions
    name : str
        The data set's.
    needs : str
        What the user must bring, for the message.
    fetch : callable, optional
        Downloads into the directory that it is called with what is not there already; torchvision's data sets with
        ``download=True`` do, and check their publishers' MD5 sums. None for data that cannot be downloaded.

    Raises
    ------
    InputError
        No directory is named, there is none of that name, or a download fails or is not possible.
    """
    directory = options.data_dir
    if options.download:
        if fetch is None:
            raise InputError(f"--download: hashbench does not fetch {name}; give {needs}")
        directory = directory or (options.cache_dir or Path()) / "downloads" / name
        try:
            fetch(str(directory))
        except (OSError, RuntimeError) as error:
            raise InputError(f"{name} cannot be downloaded ({error}); give --data-dir DIR") from error
    if directory is None:
        raise InputError(f"{name} needs its files: give {needs}")
    if not directory.is_dir():
        raise InputError(f"--data-dir {directory} is not a directory; give {needs}")
    return directory
