"""Where a publisher's files are, or are fetched to, and whether they are the publisher's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hashbench.data.options import LoadOptions
from hashbench.errors import InputError
from hashbench.progress import to_stderr


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
        No directory is named, the named one does not exist, or the download fails or is not possible.
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


def are_official(sums: Mapping[str, str], published: Mapping[str, str], where: object) -> bool:
    """Compare MD5 sums with the publisher's, and say on standard error which files differ.

    Parameters
    ----------
    sums, published : dict from str to str
        MD5 sums (hex) by the files' names, the same names in both.
    where : object
        What was read, for the message.

    Returns
    -------
    bool
        Whether all are the same.
    """
    name_of = {md5: name for name, md5 in published.items()}
    different = [name for name, md5 in published.items() if sums[name] != md5]
    if not different:
        return True
    files = [f"{name} (is {name_of[sums[name]]})" if sums[name] in name_of else name for name in different]
    to_stderr(
        f"{where}: MD5 sums differ from the publisher's for {', '.join(files)}; the data is marked as a copy, fetch "
        "these files again if it is to be official"
    )
    return False
