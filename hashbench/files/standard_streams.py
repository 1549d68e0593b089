"""Standard streams of programs that were started without them, as some daemons and job systems do."""

from __future__ import annotations

import os
import sys

NAMES = ("stdin", "stdout", "stderr")


def open_what_is_closed() -> None:
    """Put the null device in the place of standard streams that are closed.

    Else the next file that is opened would get such a stream's number, and what is printed would go into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < len(NAMES):
        os.set_inheritable(number, True)
        if getattr(sys, NAMES[number]) is None:
            setattr(sys, NAMES[number], os.fdopen(number, "w" if number else "r", closefd=False))
    os.close(number)
