"""Whether a .npz file from elsewhere can be opened safely: its arrays are as large as its bytes, and no larger."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import IO

import numpy as np

from hashbench.errors import describe_error

UNREADABLE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RecursionError)
"""What damaged archives and arrays raise."""


def problem_in_npz(content: bytes) -> str:
    """Return why the bytes of a .npz file are not opened; empty where they can be.

    `numpy.load` reserves what an array's header states before it reads. So members must be stored as they are, as
    `numpy.savez` does, and a header must state as many bytes as follow it.

    Parameters
    ----------
    content : bytes
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > len(content):
                return "holds arrays that are larger than the file"
            for member in members:
                if member.flag_bits & 1:
                    return "holds encrypted arrays"
                if member.compress_type != zipfile.ZIP_STORED:
                    return "holds compressed arrays; numpy.savez stores them"
                with archive.open(member) as stream:
                    left = member.file_size - _stated_bytes(stream)
                    if left != stream.tell():
                        return f"holds {member.filename!r:.60}, whose size is not that of its header"
    except UNREADABLE as error:
        return f"holds no arrays ({error})"
    return ""


def _stated_bytes(stream: IO[bytes]) -> int:
    """Read an array's header and return how many bytes it says that follow."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(stream)
    except Exception as error:  # numpy promises no set of errors here: the parsers of Python and of types raise theirs
        raise ValueError(f"a header that cannot be read: {describe_error(error):.80}") from error
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return math.prod(shape) * dtype.itemsize
