"""Catches what libjpeg writes to the process's standard error about damaged images: its lines name no file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def caught_warnings(folder: Path) -> Iterator[Callable[[], int]]:
    """Keep libjpeg's warnings from standard error while images are decoded; what Python writes still arrives there.

    Parameters
    ----------
    folder : Path
        Keeps the lines meanwhile. Whatever else writes to the process's standard error then is kept from it too.

    Yields
    ------
    callable
        Returns how many bytes were caught so far: an image during whose decoding it grows may be damaged.
    """
    before = sys.stderr
    with tempfile.TemporaryFile(dir=folder) as caught:
        outside = os.dup(2)
        if _writes_to(before, 2):
            before.flush()
            sys.stderr = os.fdopen(
                os.dup(outside), "w", buffering=1, encoding=before.encoding, errors="backslashreplace"
            )
        os.dup2(caught.fileno(), 2)
        try:
            yield lambda: os.fstat(caught.fileno()).st_size
        finally:
            os.dup2(outside, 2)
            os.close(outside)
            if sys.stderr is not before:
                sys.stderr.close()
                sys.stderr = before


def _writes_to(stream: object, handle: int) -> bool:
    try:
        return stream.fileno() == handle  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # no file behind it
        return False
