"""One line for whatever libraries raise over a damaged file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hashbench.errors import InputError, describe_error


@contextmanager
def readable(shown_as: str) -> Iterator[None]:
    """Turn any error into an `InputError`: the libraries that read these formats raise anything over damaged bytes.

    Parameters
    ----------
    shown_as : str
        What names the file, or the array in it.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{shown_as} is not readable ({describe_error(error)}): save it again") from error
